// `oidc-provider` on a free port of loopback, as its users set it up, remembering what it was asked.
//
// Its own login and consent pages are on. One line says where it is; it ends when stdin does.
// Beside the protocol it answers `/asked`: requests and tokens, which nobody else would hand out. It
// takes at `/lives` how long its next tokens live, and at `/forget` an access token that is to be
// void by itself: to revoke one by the protocol takes the refresh token with it.

import http from "node:http";

console.warn = console.info = () => {}; // it warns of what is only for development
const { Provider } = await import("oidc-provider");

const ours = process.env.RUNCHAT;
const dpop = process.env.DPOP === "1";
const scopes = ["openid", "offline_access", "mcp:read", "mcp:write", "cats"];
const secret = process.env.SECRET;
const asked = [];
let provider;

const server = http.createServer((request, response) => provider.callback()(request, response));

function client(client_id, more) {
  return { client_id, client_secret: secret, redirect_uris: [], response_types: [], ...more };
}

const coming = { grant_types: ["authorization_code", "refresh_token"], response_types: ["code"] };
const itself = { grant_types: ["client_credentials"] };

function configuration() {
  return {
    clients: [
      client("runchat", { ...coming, redirect_uris: [`${ours}/api/mcp/callback`] }),
      client("actions", { ...coming, redirect_uris: [`${ours}/api/actions/callback`] }),
      client("service", itself),
      client("resource", { grant_types: [] }),
    ],
    scopes,
    claims: { openid: ["sub"] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    rotateRefreshToken: true,
    ttl: {
      AccessToken: (_, token) => token.resourceServer?.accessTokenTTL ?? lives(token),
      ClientCredentials: (_, token) => lives(token),
      RefreshToken: 3600,
      Session: 3600,
      Grant: 3600,
      Interaction: 600,
      IdToken: 600,
      AuthorizationCode: 60,
    },
    features: {
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      registration: { enabled: true },
      dPoP: dpop
        ? { enabled: true, nonceSecret: Buffer.alloc(32, 7), requireNonce: () => true }
        : { enabled: false },
      clientIdMetadataDocument: { enabled: true, ack: "draft-02" },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({
          audience: resource,
          scope: "mcp:read mcp:write",
          accessTokenFormat: new URL(resource).pathname.startsWith("/jwt") ? "jwt" : "opaque",
          accessTokenTTL: seconds,
        }),
      },
    },
    cookies: { keys: [secret] },
    // its own guard lets nothing of this machine be read, and Runchat is on this machine
    fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  };
}

let seconds = 3600;
const lives = () => seconds;

async function remembering(ctx, next) {
  if (ctx.path === "/asked") {
    ctx.body = asked;
    return;
  }
  if (ctx.path === "/lives") {
    seconds = Number(ctx.query.seconds);
    ctx.body = { seconds };
    return;
  }
  if (ctx.path === "/forget") {
    const token = await provider.AccessToken.find(ctx.query.token);
    const other = token ?? (await provider.ClientCredentials.find(ctx.query.token));
    await other?.destroy();
    ctx.body = { found: Boolean(other) };
    return;
  }
  await next();
  if (ctx.path.endsWith("/introspection")) return;
  const form = ctx.oidc?.params ?? {};
  const body = ctx.body && typeof ctx.body === "object" && !ctx.body.pipe ? ctx.body : {};
  asked.push({
    path: ctx.path,
    posted: ctx.method === "POST",
    grant: form.grant_type ?? "",
    client: body.client_id ?? ctx.oidc?.client?.clientId ?? "",
    secret: body.client_secret ?? "",
    resource: form.resource ?? "",
    method: form.code_challenge_method ?? "",
    verifier: Boolean(form.code_verifier),
    proof: Boolean(ctx.get("DPoP")),
    status: ctx.status,
    error: body.error ?? "",
    tokens: { access: body.access_token ?? "", refresh: body.refresh_token ?? "" },
  });
}

server.listen(0, "127.0.0.1", () => {
  const url = `http://127.0.0.1:${server.address().port}`;
  provider = new Provider(url, configuration());
  provider.use(remembering);
  process.stdout.write(`${JSON.stringify({ ready: true, url })}\n`);
});
process.stdin.on("end", () => process.exit(0)).resume();
