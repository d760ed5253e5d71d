// Reads a customer's record, or does with it what METHOD says.
// lockgate run --role support -- node agent.mjs 42 [METHOD]

import { EnvHttpProxyAgent, fetch, setGlobalDispatcher } from "undici";

setGlobalDispatcher(new EnvHttpProxyAgent()); // fetch takes no notice of HTTPS_PROXY by itself

const [id, method = "GET"] = process.argv.slice(2);
const answer = await fetch(`https://api.crm.example/v1/customers/${id}`, { method });
console.log(answer.status, await answer.text());
process.exitCode = answer.ok ? 0 : 1;
