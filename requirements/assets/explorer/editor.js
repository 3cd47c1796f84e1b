// The editor of the API explorer: GraphQL with completion, and with faults shown where they are.
// It lives in a shadow root: there its styles are sheets that a strict policy allows.
import {
  autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import {
  HighlightStyle, bracketMatching, indentOnInput, syntaxHighlighting,
} from "@codemirror/language";
import { lintKeymap } from "@codemirror/lint";
import { EditorState } from "@codemirror/state";
import { EditorView, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { graphql } from "cm6-graphql";
import { buildClientSchema, parse } from "graphql";

// The page's own colours, which follow light and dark.
const look = EditorView.theme({
  "&": { color: "var(--ink)", backgroundColor: "var(--surface)", height: "100%", fontSize: "13px" },
  ".cm-scroller": { fontFamily: "ui-monospace, monospace", lineHeight: "1.5" },
  ".cm-content": { caretColor: "var(--ink)" },
  ".cm-gutters": { backgroundColor: "var(--ground)", color: "var(--quiet)", border: "0" },
  "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "1px" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground, .cm-content ::selection": {
    backgroundColor: "var(--wait-ground)",
  },
  ".cm-tooltip": {
    color: "var(--ink)", backgroundColor: "var(--surface)", border: "1px solid var(--line)",
  },
  ".cm-tooltip-autocomplete ul li[aria-selected]": {
    color: "var(--on-accent)", backgroundColor: "var(--accent)",
  },
  ".cm-completionInfo": { maxWidth: "24rem", whiteSpace: "pre-wrap" },
});
const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.definitionKeyword], color: "var(--bad)" },
  { tag: [tags.propertyName, tags.attributeName], color: "var(--accent)" },
  { tag: [tags.typeName, tags.atom], color: "var(--warn)" },
  { tag: [tags.string, tags.number, tags.bool], color: "var(--good)" },
  { tag: [tags.variableName, tags.special(tags.variableName)], color: "var(--wait)" },
  { tag: tags.comment, color: "var(--quiet)", fontStyle: "italic" },
]);

// What is typed is put in by the editor, not by the browser: where it replaces what is coloured, a
// browser keeps the colour by an inline style, which a strict policy refuses.
const typing = EditorView.domEventHandlers({
  beforeinput(event, view) {
    if (event.inputType !== "insertText" || !event.data || event.isComposing) return false;
    const { from, to } = view.state.selection.main;
    const insert = () => view.state.update(view.state.replaceSelection(event.data), {
      scrollIntoView: true, userEvent: "input.type",
    });
    const handlers = view.state.facet(EditorView.inputHandler);
    if (!handlers.some((handle) => handle(view, from, to, event.data, insert))) {
      view.dispatch(insert());
    }
    event.preventDefault();
    return true;
  },
});

/** Puts an editor into `parent`; `run` is called for Ctrl or Cmd with Enter, `change` with each text. */
export function edit(parent, { text, label, introspection, run, change }) {
  const root = parent.attachShadow({ mode: "open" });
  const state = EditorState.create({
    doc: text,
    extensions: [
      lineNumbers(),
      history(),
      bracketMatching(),
      closeBrackets(),
      indentOnInput(),
      autocompletion(),
      syntaxHighlighting(colours),
      look,
      typing,
      EditorView.lineWrapping,
      EditorView.contentAttributes.of({ "aria-label": label }),
      keymap.of([
        { key: "Mod-Enter", preventDefault: true, run: () => (run(), true) },
        ...closeBracketsKeymap,
        ...completionKeymap,
        ...lintKeymap,
        ...historyKeymap,
        ...defaultKeymap,
      ]),
      EditorView.updateListener.of((update) => {
        if (update.docChanged) change(update.state.doc.toString());
      }),
      ...(introspection ? graphql(buildClientSchema(introspection)) : []),
    ],
  });
  const view = new EditorView({ state, parent: root, root });
  return {
    focus: () => view.focus(),
    set: (doc) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: doc } }),
  };
}

/** Says what a document would do at most: mutation, subscription, query, or nothing if it is none. */
export function kindOf(text) {
  try {
    const found = parse(text).definitions.map((each) => each.operation);
    return ["mutation", "subscription", "query"].find((kind) => found.includes(kind)) ?? "";
  } catch {
    return "";
  }
}
