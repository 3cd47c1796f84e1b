// Loaded before a client whose host and port are fixed: its requests go to the test's, over TLS.
const http = require("node:http");
const https = require("node:https");

const { HOST: host, PORT: port } = process.env;

http.request = (options, ...rest) => https.request({ ...options, host, port, servername: host }, ...rest);
