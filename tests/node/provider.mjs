// An OpenID Connect provider (oidc-provider, certified by the OpenID Foundation) with accounts that tests need.
// It is told as JSON on the command line: port, client, secret, where it may lead back to, and accounts by name.
import { createServer } from "node:http";
import { generateKeyPairSync } from "node:crypto";
import { Provider } from "oidc-provider";

const { port, client, secret, back, accounts } = JSON.parse(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;

const key = () => ({
  ...generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" }),
  kid: "one", alg: "RS256", use: "sig",
});
const others = (({ kty, n, e, kid, alg, use }) => ({ keys: [{ kty, n, e, kid, alg, use }] }))(key());

const provider = new Provider(issuer, {
  clients: [{ client_id: client, client_secret: secret, redirect_uris: back, require_auth_time: true }],
  claims: { openid: ["sub"], email: ["email", "email_verified"] },
  cookies: { keys: ["made up"] },
  features: { devInteractions: { enabled: false } },
  findAccount: (ctx, id) => accounts[id] && { accountId: id, claims: () => ({ sub: id, ...accounts[id] }) },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  jwks: { keys: [key()] },
  pkce: { required: () => true },
  // Nobody is asked for consent.
  async loadExistingGrant(ctx) {
    const grant = new ctx.oidc.provider.Grant({ clientId: client, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope("openid email");
    await grant.save();
    return grant;
  },
});

// What tests may ask for: keys that are not those it signs with, and no answer at all from some place.
const faults = { keys: "", silent: "" };
provider.use(async (ctx, next) => {
  if (faults.silent && ctx.path === faults.silent) { ctx.status = 503; return; }
  await next();
  if (faults.keys && ctx.path === "/jwks") ctx.body = others;
});

const handle = provider.callback();
const page = '<!doctype html><html lang="en"><title>The provider</title><link rel="icon" href="data:,"><form method="post">'
  + '<label>Account <input name="account" autofocus></label> <button>Continue</button> '
  + '<button name="refuse" value="yes">Refuse</button></form>';

createServer(async (request, response) => {
  const url = new URL(request.url, issuer);
  if (url.pathname === "/faults") {
    Object.assign(faults, { keys: "", silent: "" }, Object.fromEntries(url.searchParams));
    response.end("noted");
  } else if (!url.pathname.startsWith("/interaction/")) {
    handle(request, response);
  } else if (request.method === "GET") {
    response.setHeader("Content-Type", "text/html");
    response.end(page);
  } else {
    let body = "";
    for await (const part of request) body += part;
    const form = new URLSearchParams(body);
    const ts = Math.floor(Date.now() / 1000) - Number(form.get("ago") ?? 0);  // when the person signed in here
    const login = { accountId: form.get("account"), ts };
    const result = form.get("refuse") ? { error: "access_denied" } : { login };
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  }
}).listen(port, "127.0.0.1");
