// Runs the page's own checker outside a browser: MODULE KEY, and on standard input base64 of one file a line. Answers with
// one line of JSON for each: {"faults", "omitted", "roots", "rows", "amounts"}.

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [module, key] = process.argv.slice(2);
const { Checker, run, verifier } = await import(pathToFileURL(module));

for await (const line of createInterface({ input: process.stdin })) {
  const checker = new Checker(await verifier(key), key);
  await run(new Blob([Buffer.from(line, "base64")]).stream(), checker);
  const { faults, omitted, roots, rows, amounts } = checker;
  console.log(JSON.stringify({ faults, omitted, roots, rows, amounts }, (_, value) => (
    typeof value === "bigint" ? String(value) : value)));
}
