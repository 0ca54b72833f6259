// The protocol's own server on a free port, to be measured beside ours: `node reference.mjs [DATA]`.
// With a folder it keeps streams in files, without one in memory. One line of JSON says where it is.
import { DurableStreamTestServer } from "@durable-streams/server"

for (const word of ["log", "info", "debug"]) console[word] = () => {} // in the way, and costs it time
const [dataDir] = process.argv.slice(2)
const where = { port: 0, host: "127.0.0.1" }
const server = new DurableStreamTestServer(dataDir ? { ...where, dataDir } : where)
const url = await server.start()
process.stdout.write(JSON.stringify({ url }) + "\n")
process.on("SIGTERM", () => server.stop().finally(() => process.exit(0)))
