// A certified OpenID provider on loopback, over TLS: issues JWT access tokens for the resource `lockgate` by client
// credentials (RFC 6749, 4.4; RFC 8707; RFC 9068). Its settings are the first line of its input; it ends with that.
import { once } from "node:events";
import { createServer } from "node:https";
import { createInterface } from "node:readline";
import Provider from "oidc-provider";

const input = createInterface({ input: process.stdin });
const [line] = await once(input, "line");
input.on("close", () => process.exit());
const { issuer, port, certificate, keys, algorithm, clients, roles, lifetime } = JSON.parse(line);

const provider = new Provider(issuer, {
  clients: Object.entries(clients).map(([id, secret]) => ({
    client_id: id,
    client_secret: secret,
    id_token_signed_response_alg: algorithm,
    grant_types: ["client_credentials"],
    response_types: [],
    redirect_uris: [],
  })),
  jwks: { keys },
  extraTokenClaims: (_, token) => ({ realm_access: { roles: roles[token.clientId] ?? [] } }),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => "urn:lockgate",
      getResourceServerInfo: () => ({
        scope: "",
        audience: "lockgate",
        accessTokenFormat: "jwt",
        accessTokenTTL: lifetime,
        jwt: { sign: { alg: algorithm } },
      }),
    },
  },
});

const server = createServer({ key: certificate, cert: certificate }, provider.callback());
server.listen(port, "127.0.0.1", () => console.log(`listening at ${server.address().port}`));
