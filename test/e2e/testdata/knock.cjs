// Knocks as a page would: by WebSocket, with mqtt.js. Reads what to do from standard input, and
// writes the answer in hexadecimal.
const mqtt = require('mqtt')

const { url, username, password, version, topic, answerTopic, packet } = JSON.parse(require('node:fs').readFileSync(0, 'utf8'))

async function main() {
  const client = await mqtt.connectAsync(url, { username, password, protocolVersion: version, reconnectPeriod: 0 }, false)
  const answer = new Promise((resolve) => client.on('message', (_, payload) => resolve(payload)))
  await client.subscribeAsync(answerTopic, { qos: 1 })
  await client.publishAsync(topic, Buffer.from(packet, 'hex'), { qos: 1 })
  process.stdout.write((await answer).toString('hex'))
  await client.endAsync()
}

main().catch((error) => {
  process.stderr.write(`${error}\n`)
  process.exit(1)
})
setTimeout(() => process.exit(2), 20_000).unref()
