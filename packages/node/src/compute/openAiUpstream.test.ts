import { InvalidInputError } from '@opg/protocol'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { event, speak, speakForEver, startStandInLlm, type StandInLlm } from '../../test/standInLlm.js'
import type { ComputedAnswer } from '../service/types.js'
import type { ComputeBackend, JsonObject } from './backend.js'
import { createOpenAiUpstream, type OpenAiUpstreamOptions } from './openAiUpstream.js'

const API_KEY = 'sk-very-secret'
const MESSAGES = [{ role: 'user', content: 'Say hello, please.' }]
const ASK: JsonObject = { model: 'chat', messages: MESSAGES, max_tokens: 50 }

interface Outcome extends ComputedAnswer {
  readonly text: string
  readonly chunks: readonly string[]
}

describe('createOpenAiUpstream', () => {
  let llm: StandInLlm
  let backend: ComputeBackend

  const create = (options: Partial<OpenAiUpstreamOptions> = {}): ComputeBackend =>
    createOpenAiUpstream({
      model: {
        name: 'chat',
        modelId: `0x${'22'.repeat(32)}`,
        prices: { perRequest: 10n, inputPerMillion: 1_000_000n, outputPerMillion: 2_000_000n },
      },
      upstreamModel: 'tiny-llm',
      baseUrl: llm.baseUrl,
      apiKey: API_KEY,
      idleTimeoutMs: 5_000,
      limits: { maxOutputTokens: 100, defaultOutputTokens: 30 },
      fetch,
      ...options,
    })

  const run = async (
    body: JsonObject,
    {
      signal = new AbortController().signal,
      onEmit,
    }: { readonly signal?: AbortSignal; readonly onEmit?: (count: number) => void } = {},
  ): Promise<Outcome> => {
    const chunks: string[] = []
    const emit = (chunk: Uint8Array): Promise<void> => {
      if (!signal.aborted) chunks.push(Buffer.from(chunk).toString())
      onEmit?.(chunks.length)
      return Promise.resolve()
    }
    const answer = await backend.prepare(body, JSON.stringify(body).length).run({ signal, emit })
    return { ...answer, chunks, text: chunks.join('') }
  }

  beforeEach(async () => {
    llm = await startStandInLlm()
    backend = create()
  })
  afterEach(() => llm.close())

  it('is a gateway only under the name that the gateway hashes', () => {
    const gatewayTeeIds = [`0x${'01'.repeat(32)}`] as const
    expect(() => create({ gatewayTeeIds })).toThrow(expect.objectContaining({ code: 'MODEL_LOAD' }))
    const prepared = create({ gatewayTeeIds, upstreamModel: 'chat' }).prepare(ASK, 100)
    expect(prepared.gateway?.teeIds).toEqual(gatewayTeeIds)
    expect(backend.prepare(ASK, 100).gateway).toBeUndefined()
  })

  describe('at once', () => {
    it('passes the answer on as it came, with the usage that the upstream counted', async () => {
      llm.behave(speak(['Hello', ' there'], { prompt: 5, completion: 2 }))
      const { text, usage, contentType } = await run(ASK)
      expect(JSON.parse(text)).toMatchObject({ choices: [{ message: { content: 'Hello there' } }] })
      expect(usage).toEqual({ inputTokens: 5n, outputTokens: 2n })
      expect(contentType).toBe('application/json; charset=utf-8')
    })

    it("asks under the upstream's name of the model, with its own key and the bound", async () => {
      await run({ ...ASK, temperature: 0.5, max_tokens: null })
      expect(llm.seen[0]?.body).toEqual({
        model: 'tiny-llm',
        messages: MESSAGES,
        temperature: 0.5,
        n: 1,
        max_tokens: 30,
        stream: false,
      })
      expect(llm.seen[0]?.headers.authorization).toBe(`Bearer ${API_KEY}`)
    })

    it('bills an estimate where the upstream does not count', async () => {
      llm.behave(speak(['12345678', '9']))
      // 18 bytes of prompt and 9 of answer, at four to a token.
      expect((await run(ASK)).usage).toEqual({ inputTokens: 5n, outputTokens: 3n })
    })

    it.each([
      ['negative', { prompt: -1, completion: 2 }],
      ['fractional', { prompt: 1.5, completion: 2 }],
    ])('does not take a %s usage for a count', async (_, usage) => {
      llm.behave(speak(['Hello'], usage))
      expect((await run(ASK)).usage).toEqual({ inputTokens: 5n, outputTokens: 2n })
    })
  })

  describe('streamed', () => {
    const STREAM = { ...ASK, stream: true }

    it('passes each event on, ends with [DONE], and keeps the count to itself unless it was asked for', async () => {
      const { chunks, usage, contentType } = await run(STREAM)
      expect(
        chunks.map((chunk) => chunk.slice(6, -2)).map((data) => (data === '[DONE]' ? data : contentOf(data))),
      ).toEqual(['Hello', ' there', undefined, '[DONE]'])
      expect(usage).toEqual({ inputTokens: 5n, outputTokens: 2n })
      expect(contentType).toBe('text/event-stream; charset=utf-8')
      expect(llm.seen[0]?.body['stream_options']).toEqual({ include_usage: true })
    })

    it('passes the count on to who asked for it', async () => {
      const { text } = await run({ ...STREAM, stream_options: { include_usage: true } })
      expect(text).toContain('"prompt_tokens":5')
    })

    it('client aborts mid-stream: stops the upstream and bills what was sent, not what was never sent (F19)', async () => {
      llm.behave(speakForEver('12345678'))
      const client = new AbortController()
      const { chunks, usage } = await run(STREAM, {
        signal: client.signal,
        onEmit: (count) => {
          if (count === 4) client.abort()
        },
      })
      expect(chunks).toHaveLength(4)
      // The fourth piece was on its way when the client left. Three pieces of 8 bytes.
      expect(usage).toEqual({ inputTokens: 5n, outputTokens: 6n })
      await until(() => llm.cutOff.length === 1)
    })

    it('client aborts before anything was sent: bills nothing', async () => {
      llm.behave(() => undefined)
      const client = new AbortController()
      const outcome = run(STREAM, { signal: client.signal })
      await until(() => llm.seen.length === 1)
      client.abort()
      await expect(outcome).rejects.toBeDefined()
      await until(() => llm.cutOff.length === 1)
    })

    it('never bills more than the request was priced at, however much the upstream says or counts', async () => {
      llm.behave(speak(Array.from({ length: 500 }, () => 'word')))
      expect((await run(STREAM)).usage.outputTokens).toBe(50n)
      llm.behave(speak(['Hello'], { prompt: 1_000_000, completion: 51 }))
      const { usage } = await run(STREAM)
      expect(usage).toEqual({ inputTokens: BigInt(JSON.stringify(STREAM).length), outputTokens: 50n })
    })

    it.each([
      ['ends in the middle', event({ choices: [{ index: 0, delta: { content: 'Hel' } }] })],
      ['is no JSON', `${event({ choices: [{ index: 0, delta: { content: 'Hel' } }] })}data: {"choices":\n\n`],
      ['has no choices', event({ hello: true })],
      ['carries an error', event({ error: { message: `bad key ${API_KEY}` } })],
      ['is not UTF-8', Buffer.from([0x64, 0x61, 0x74, 0x61, 0x3a, 0xff, 0xfe, 0x0a, 0x0a])],
      ['is empty', ''],
      ['never ends a line', `data: ${'x'.repeat(1_100_000)}`],
    ])('upstream sends a stream that %s: fails, and bills nothing', async (_, content) => {
      llm.behave((response) => {
        response.setHeader('content-type', 'text/event-stream')
        response.end(content)
      })
      const failure = run(STREAM)
      await expect(failure).rejects.toMatchObject({ code: 'UPSTREAM_MALFORMED' })
      await expect(failure).rejects.not.toThrow(API_KEY)
    })

    it('reads events however they are cut, with any line end, comments and many data lines', async () => {
      const piece = JSON.stringify({ choices: [{ index: 0, delta: { content: 'Grüße' }, finish_reason: 'stop' }] })
      const bytes = Buffer.from(
        `: ping\r\n\r\nevent: x\r\ndata: ${piece.slice(0, 12)}\r\ndata:${piece.slice(12)}\r\n\r\ndata: [DONE]\r\n\r\n`,
      )
      llm.behave(async (response) => {
        for (const byte of bytes) {
          response.write(Buffer.of(byte))
          await new Promise((resolve) => setImmediate(resolve))
        }
        response.end()
      })
      const { text } = await run(STREAM)
      const [first = ''] = text.split('\n\n')
      expect(contentOf(first.replaceAll('data: ', ''))).toBe('Grüße')
    })

    it('upstream cuts the connection mid-stream: fails, and bills nothing', async () => {
      llm.behave((response) => {
        response.write(event({ choices: [{ index: 0, delta: { content: 'Hel' } }] }))
        setTimeout(() => response.destroy(), 50)
      })
      await expect(run(STREAM)).rejects.toMatchObject({ code: 'UPSTREAM_UNREACHABLE' })
    })

    it('upstream hangs mid-stream: fails, and bills nothing', async () => {
      backend = create({ idleTimeoutMs: 100 })
      llm.behave((response) => {
        response.write(event({ choices: [{ index: 0, delta: { content: 'Hel' } }] }))
      })
      await expect(run(STREAM)).rejects.toMatchObject({ code: 'UPSTREAM_TIMEOUT' })
      await until(() => llm.cutOff.length === 1)
    })

    it('waits for a slow client, and does not take its slowness for a silence of the upstream', async () => {
      backend = create({ idleTimeoutMs: 150 })
      const call = backend.prepare(STREAM, 100)
      const emit = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 200))
      await expect(call.run({ signal: new AbortController().signal, emit })).resolves.toBeDefined()
    })
  })

  it.each([
    [500, 'UPSTREAM_REFUSED'],
    [401, 'UPSTREAM_REFUSED'],
    [404, 'UPSTREAM_REFUSED'],
    [302, 'UPSTREAM_UNREACHABLE'],
    [429, 'UPSTREAM_BUSY'],
    [503, 'UPSTREAM_BUSY'],
  ])('upstream answers with %i: fails, and does not repeat what it says', async (status, code) => {
    llm.behave((response) => {
      response.writeHead(status, { location: 'http://127.0.0.1:1/' }).end(`Incorrect API key provided: ${API_KEY}`)
    })
    const failure = run(ASK)
    await expect(failure).rejects.toMatchObject({ code })
    await expect(failure).rejects.not.toThrow(API_KEY)
  })

  it('upstream hangs: fails', async () => {
    backend = create({ idleTimeoutMs: 100 })
    llm.behave(() => undefined)
    await expect(run(ASK)).rejects.toMatchObject({ code: 'UPSTREAM_TIMEOUT' })
  })

  it('upstream cannot be reached: fails', async () => {
    backend = create({ baseUrl: 'http://127.0.0.1:1/v1' })
    await expect(run(ASK)).rejects.toMatchObject({ code: 'UPSTREAM_UNREACHABLE' })
  })

  it('upstream sends an answer without end: fails', async () => {
    const own = createOpenAiUpstream({ ...optionsOf(llm), maxAnswerBytes: 1000 })
    llm.behave((response) => {
      response.end('x'.repeat(1001))
    })
    const call = own.prepare(ASK, 100)
    await expect(
      call.run({ signal: new AbortController().signal, emit: () => Promise.resolve() }),
    ).rejects.toMatchObject({ code: 'ANSWER_TOO_LARGE' })
  })

  describe('prices', () => {
    it.each([
      ['max_tokens', { max_tokens: 50 }, 50],
      ['max_completion_tokens', { max_completion_tokens: 60 }, 60],
      ['the larger of both', { max_tokens: 10, max_completion_tokens: 60 }, 60],
      ['the default', {}, 30],
      ['each of n choices', { max_tokens: 50, n: 3 }, 150],
    ])('bounds the output by %s, and the input by the bytes', (_, bound, tokens) => {
      const call = backend.prepare({ model: 'chat', messages: MESSAGES, ...bound }, 200)
      expect(call.maxFee).toBe(10n + 200n + 2n * BigInt(tokens))
    })

    it('refuses a request without bound where the policy has no default', () => {
      backend = create({ limits: { maxOutputTokens: 100 } })
      expect(refusedField({ model: 'chat', messages: MESSAGES })).toBe('max_tokens')
    })
  })

  it.each([
    ['no messages', { messages: undefined }, 'messages'],
    ['an empty list', { messages: [] }, 'messages'],
    ['messages that are a text', { messages: 'hi' }, 'messages'],
    ['a message that is null', { messages: [null] }, 'messages[0]'],
    ['an unknown role', { messages: [{ role: 'root', content: '' }] }, 'messages[0].role'],
    ['a message without content', { messages: [{ role: 'user' }] }, 'messages[0].content'],
    [
      'an image',
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }] },
      'messages[0].content[0]',
    ],
    ['a bound of zero', { max_tokens: 0 }, 'max_tokens'],
    ['a negative bound', { max_tokens: -1 }, 'max_tokens'],
    ['a fractional bound', { max_tokens: 1.5 }, 'max_tokens'],
    ['a bound as a text', { max_tokens: '10' }, 'max_tokens'],
    ['a bound over the cap', { max_tokens: 101 }, 'max_tokens'],
    ['a second bound over the cap', { max_completion_tokens: 101 }, 'max_completion_tokens'],
    ['too many choices', { n: 9 }, 'n'],
    ['stream that is no boolean', { stream: 'yes' }, 'stream'],
    ['stream_options without a stream', { stream_options: {} }, 'stream_options'],
    [
      'stream_options of a wrong kind',
      { stream: true, stream_options: { include_usage: 1 } },
      'stream_options.include_usage',
    ],
    ['an unknown member, which might cost more', { best_of: 20 }, 'best_of'],
    ['__proto__', JSON.parse('{"__proto__":{"max_tokens":1}}'), '__proto__'],
  ])('refuses %s', (_, change: JsonObject, field) => {
    expect(refusedField({ ...ASK, ...change })).toBe(field)
  })

  function refusedField(body: JsonObject): string {
    try {
      backend.prepare(body, 100)
    } catch (error) {
      if (error instanceof InvalidInputError) return error.field
      throw error
    }
    return 'nothing was refused'
  }
})

function optionsOf(llm: StandInLlm): OpenAiUpstreamOptions {
  return {
    model: {
      name: 'chat',
      modelId: `0x${'22'.repeat(32)}`,
      prices: { perRequest: 1n, inputPerMillion: 0n, outputPerMillion: 0n },
    },
    upstreamModel: 'tiny-llm',
    baseUrl: llm.baseUrl,
    idleTimeoutMs: 5_000,
    limits: { maxOutputTokens: 100 },
    fetch,
  }
}

function contentOf(data: string): unknown {
  const piece = JSON.parse(data) as { choices: { delta: { content?: string } }[] }
  return piece.choices[0]?.delta.content
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5))
}
