// The plainest fan-out there is in Node: one `http` server, one `res.write` an event a reader.
// GET is a stream; POST /?count=N&size=BYTES sends N events of that size to all readers, a turn of
// the loop each, and ends the streams. Nothing is kept. One line of JSON says where it is.
import http from "node:http"

const readers = new Set()

function say(number, count, pad) {
  if (number > count) {
    for (const reader of readers) reader.end()
    return
  }
  const data = `{"n":${number},"pad":"${pad}"}`
  const frame = `id: ${number}\nevent: item.delta\ndata: ${data}\n\n`
  for (const reader of readers) reader.write(frame)
  setImmediate(say, number + 1, count, pad)
}

const server = http.createServer((request, response) => {
  if (request.method === "GET") {
    response.writeHead(200, { "content-type": "text/event-stream" })
    response.write(":\n\n")
    readers.add(response)
    response.on("close", () => readers.delete(response))
    return
  }
  const asked = new URL(request.url, "http://localhost").searchParams
  response.writeHead(200, { "content-length": 2 })
  response.end("{}")
  say(1, Number(asked.get("count")), "x".repeat(Number(asked.get("size"))))
})

server.listen({ port: 0, host: "127.0.0.1", backlog: 1024 }, () => {
  console.log(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}` }))
})
process.on("SIGTERM", () => process.exit(0))
