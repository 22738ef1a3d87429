// A consumer of exitflow's events in Node: it verifies, remembers, notices gaps and sets aside what it cannot use.
//
//   KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:9092 TOPIC=exits.intents.v1 KEYS=exit-keys.pem LEDGER=ledger.jsonl \
//   DEAD_LETTERS=my-team.dlq node consumer.mjs
//
// It ends with status 3 at a gap. Everything before the gap has its effect, nothing behind it.
import { createHash, createPublicKey, verify } from 'node:crypto'
import { appendFileSync, existsSync, readFileSync, truncateSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import kafkajs from 'kafkajs'
import lz4 from 'lz4js'

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs
// The relay compresses with LZ4.
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async encoder => Buffer.from(lz4.compress(encoder.buffer)),
  decompress: async buffer => Buffer.from(lz4.decompress(buffer))
})

const SIGNED = ['ce_sequence', 'ce_id', 'ce_type', 'ce_source', 'ce_subject', 'ce_time']
const FORM = /^([0-9a-f]{16})(?:\/([0-9]{1,2}))?:([A-Za-z0-9+/]+={0,2})$/
const SIGNATURE_BYTES = 64
const DIGEST_BYTES = 32
const DISCARDED = 'io.exitflow.Discarded.v1'
const GAP_STATUS = 3

export class GapFound extends Error {}
export class NotUsable extends Error {}

/** Public keys that sign the events of a topic, by their id. */
export class TrustedKeys {
  constructor (pem) {
    const blocks = pem.match(/-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----/g) ?? []
    this.byId = new Map(blocks.map(block => {
      const key = createPublicKey(block)
      const raw = Buffer.from(key.export({ format: 'jwk' }).x, 'base64url')
      return [createHash('sha256').update(raw).digest('hex').slice(0, 16), key]
    }))
  }

  /** Throw NotUsable unless one of the keys signed the record. */
  check (topic, key, headers, value) {
    const [, id, index, base64] = FORM.exec(headers.ce_signature ?? '') ?? []
    const trusted = this.byId.get(id)
    if (!trusted) throw new NotUsable('no signature of a trusted key')
    const parts = [topic, key, ...SIGNED.map(name => headers[name] ?? ''), value].map(part => Buffer.from(part))
    const bytes = [Buffer.from('io.exitflow.event.v1')]
    for (const part of parts) {
      const length = Buffer.alloc(4)
      length.writeUInt32BE(part.length)
      bytes.push(length, part)
    }
    let signed = Buffer.concat(bytes)
    let signature = Buffer.from(base64, 'base64')
    if (index !== undefined) {
      const root = rootOf(signed, Number(index), signature.subarray(SIGNATURE_BYTES))
      signed = Buffer.concat([Buffer.from('io.exitflow.event-group.v1'), root])
      signature = signature.subarray(0, SIGNATURE_BYTES)
    }
    if (!verify(null, signed, trusted, signature)) throw new NotUsable('the signature does not verify')
  }
}

/** Root of the hash tree with this event at `index`. */
function rootOf (event, index, path) {
  const height = path.length / DIGEST_BYTES
  if (![1, 2, 3, 4].includes(height) || index >= 2 ** height) throw new NotUsable('no such place in a group')
  let digest = sha256(Buffer.of(0), event)
  for (let start = 0; start < path.length; start += DIGEST_BYTES) {
    const beside = path.subarray(start, start + DIGEST_BYTES)
    digest = index % 2 ? sha256(Buffer.of(1), beside, digest) : sha256(Buffer.of(1), digest, beside)
    index = Math.floor(index / 2)
  }
  return digest
}

const sha256 = (...parts) => createHash('sha256').update(Buffer.concat(parts)).digest()

/**
 * Inbox, sequences and effects in one file. One line is one transaction: it is written whole or not at all.
 * With a database, write the same three things in one transaction instead.
 */
export class Ledger {
  constructor (path) {
    this.path = path
    this.seen = new Set()
    this.last = new Map()
    const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
    const whole = text.slice(0, text.lastIndexOf('\n') + 1)
    if (whole !== text) truncateSync(path, Buffer.byteLength(whole)) // a line that a crash cut off
    whole.split('\n').filter(Boolean).map(JSON.parse).forEach(line => this.#remember(line))
  }

  write (line) {
    appendFileSync(this.path, JSON.stringify(line) + '\n', { flush: true })
    this.#remember(line)
  }

  #remember (line) {
    this.seen.add(line.event_id)
    this.last.set(line.key, line.sequence)
  }
}

/** Takes the records of one topic, in the order of each partition. */
export class Consumer {
  constructor (topic, keys, ledger, apply) {
    Object.assign(this, { topic, keys, ledger, apply })
  }

  /** Return whether the record had an effect. Throw NotUsable or GapFound. */
  take (key, headers, value) {
    this.keys.check(this.topic, key, headers, value)
    if (this.ledger.seen.has(headers.ce_id)) return false
    const line = this.#line(key, headers)
    // A Discarded event takes the place and the id of one that has no effect. Unknown types count as well.
    const effect = headers.ce_type === DISCARDED ? null : this.apply(headers.ce_type, JSON.parse(value.toString()))
    this.ledger.write({ ...line, effect })
    return effect !== null
  }

  /** Count a record that was set aside, if it is genuine: the next event of its key would look like a gap. */
  passOver (key, headers, value) {
    try {
      this.keys.check(this.topic, key, headers, value)
    } catch {
      return
    }
    this.ledger.write({ ...this.#line(key, headers), effect: null })
  }

  #line (key, headers) {
    const sequence = Number(headers.ce_sequence)
    const last = this.ledger.last.get(key)
    if (last !== undefined && sequence !== last + 1) {
      throw new GapFound(`${this.topic} ${key}: ${last} is followed by ${sequence}`)
    }
    return { event_id: headers.ce_id, key, sequence, type: headers.ce_type }
  }
}

/** Your own work: what an event means to you; null for nothing. This one keeps what was filled. */
export function apply (type, event) {
  if (type !== 'io.exitflow.ExitIntentFilled.v1') return null
  return { trade_id: event.trade_id, filled_quantity: event.filled_quantity, average_price: event.average_price }
}

const textOf = headers =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value].flat().at(-1)?.toString() ?? '']))

/** kafkajs reads headers of null and cannot write them. */
const withoutNull = headers =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value ?? '']))

async function main () {
  const { KAFKA_BOOTSTRAP_SERVERS: servers, TOPIC: topic, DEAD_LETTERS: deadLetters, GROUP: group } = process.env
  const kafka = new Kafka({ clientId: 'my-team', brokers: servers.split(','), logLevel: logLevel.ERROR })
  const producer = kafka.producer()
  const reader = kafka.consumer({ groupId: group ?? 'my-team', sessionTimeout: 6000 })
  const keys = new TrustedKeys(readFileSync(process.env.KEYS, 'utf8'))
  const consumer = new Consumer(topic, keys, new Ledger(process.env.LEDGER), apply)
  process.once('SIGTERM', async () => {
    await reader.disconnect()
    await producer.disconnect()
  })
  await producer.connect()
  await reader.connect()
  await reader.subscribe({ topic, fromBeginning: true })
  await reader.run({
    eachMessage: async ({ partition, message }) => {
      const parts = [message.key?.toString() ?? '', textOf(message.headers), message.value ?? Buffer.alloc(0)]
      try {
        consumer.take(...parts)
      } catch (error) {
        if (error instanceof GapFound) {
          console.error(`gap: ${error.message}`)
          process.exit(GAP_STATUS) // the record stays unread
        }
        if (!(error instanceof NotUsable || error instanceof SyntaxError)) throw error
        const place = { dlq_topic: topic, dlq_partition: String(partition), dlq_offset: message.offset }
        const headers = { ...withoutNull(message.headers), ...place, dlq_reason: error.message }
        await producer.send({ topic: deadLetters, messages: [{ key: message.key, value: message.value, headers }] })
        consumer.passOver(...parts)
      }
    }
  })
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main()
