// A certified OpenID provider on loopback, over TLS: issues JWT access tokens for the resource `lockgate` by client
// credentials (RFC 6749, 4.4; RFC 8707; RFC 9068), by device codes that a person confirms (RFC 8628), and to pages that
// persons sign in on (OpenID Connect Core 1.0, 3.1). Its settings are the first line of its input; it ends with that.
import { once } from "node:events";
import { createServer } from "node:https";
import { createInterface } from "node:readline";
import Provider from "oidc-provider";

const input = createInterface({ input: process.stdin });
const [line] = await once(input, "line");
input.on("close", () => process.exit());
const { issuer, port, certificate, keys, algorithm, clients, devices, pages, roles, lifetime } = JSON.parse(line);

const client = (id, more) => ({
  client_id: id,
  id_token_signed_response_alg: algorithm,
  response_types: [],
  redirect_uris: [],
  ...more,
});
const service = (secret) => ({ client_secret: secret, grant_types: ["client_credentials"] });
const device = {
  application_type: "native",
  token_endpoint_auth_method: "none",
  grant_types: ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
};
const page = ({ secret, back }) => ({
  application_type: "native",
  client_secret: secret,
  token_endpoint_auth_method: secret ? "client_secret_basic" : "none",
  grant_types: ["authorization_code"],
  response_types: ["code"],
  redirect_uris: [back],
});

const provider = new Provider(issuer, {
  clients: [
    ...Object.entries(clients).map(([id, secret]) => client(id, service(secret))),
    ...devices.map((id) => client(id, device)),
    ...Object.entries(pages).map(([id, more]) => client(id, page(more))),
  ],
  jwks: { keys },
  extraTokenClaims: (_, token) => ({ realm_access: { roles: roles[token.clientId] ?? [] } }),
  features: {
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => "urn:lockgate",
      useGrantedResource: () => true,
      getResourceServerInfo: (_context, _resource, { clientId }) => ({
        scope: "",
        audience: pages[clientId]?.audience ?? "lockgate",
        accessTokenFormat: "jwt",
        accessTokenTTL: lifetime,
        jwt: { sign: { alg: algorithm } },
      }),
    },
  },
});

const server = createServer({ key: certificate, cert: certificate }, provider.callback());
server.listen(port, "127.0.0.1", () => console.log(`listening at ${server.address().port}`));
