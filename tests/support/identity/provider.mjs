// A provider of the tests: node provider.mjs PORT REDIRECT_URI ACCOUNTS_FILE CLAIMS_IN_ID_TOKEN
// ACCOUNTS_FILE: {"subject": {claims}}, read at every sign-in.
import { readFileSync } from "node:fs";
import Provider from "oidc-provider";

const [port, redirectUri, accounts, inIdToken] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "unvarnished",
      client_secret: "a-secret-of-the-client",
      redirect_uris: [redirectUri],
      response_types: ["code"],
      grant_types: ["authorization_code"],
    },
  ],
  claims: { openid: ["sub"], profile: ["preferred_username", "groups"], email: ["email"] },
  conformIdTokenClaims: inIdToken !== "true",
  cookies: { keys: ["a key of the tests"] },
  pkce: { required: () => true },
  findAccount: (_, sub) => ({
    accountId: sub,
    claims: () => ({ sub, ...JSON.parse(readFileSync(accounts, "utf-8"))[sub] }),
  }),
});
provider.listen(Number(port), "127.0.0.1", () => console.log(`listening at ${issuer}`));
