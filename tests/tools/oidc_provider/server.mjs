// A provider of identities, as others run it: oidc-provider with one client and its own forms.
// Whoever types an address is who has it; "unverified:" before it, and it is not verified.
import { Provider } from "oidc-provider";

const [port, clientId, clientSecret, ...callbacks] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

function claimsOf(login) {
  const email = login.replace(/^unverified:/, "");
  return {
    sub: login,
    email,
    email_verified: email === login,
    name: `${email.split("@")[0]} Provided`,
  };
}

const provider = new Provider(issuer, {
  clients: [{
    client_id: clientId,
    client_secret: clientSecret,
    redirect_uris: callbacks,
    response_types: ["code"],
    grant_types: ["authorization_code"],
  }],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true } },
  findAccount: (context, id) => ({ accountId: id, claims: () => claimsOf(id) }),
});

provider.listen(Number(port), "127.0.0.1", () => console.log("listening"));
