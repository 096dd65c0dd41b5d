import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** One request as the stand-in got it. */
export interface SeenRequest {
  readonly headers: IncomingMessage['headers']
  /** The body as it came. */
  readonly text: string
  readonly body: Record<string, unknown>
}

/** How the stand-in answers. */
export type Behaviour = (response: ServerResponse, seen: SeenRequest) => Promise<void> | void

/**
 * A stand-in for an LLM, since none can run here: a real HTTP server that speaks OpenAI's chat completions and says what
 * it is told to say.
 */
export interface StandInLlm {
  readonly baseUrl: string
  readonly seen: SeenRequest[]
  /** Resolves for each request whose connection was closed before its answer had ended. */
  readonly cutOff: SeenRequest[]
  behave(behaviour: Behaviour): void
  close(): Promise<void>
}

export async function startStandInLlm(): Promise<StandInLlm> {
  const seen: SeenRequest[] = []
  const cutOff: SeenRequest[] = []
  let behaviour: Behaviour = speak(['Hello', ' there'], { prompt: 5, completion: 2 })
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString()
      const entry = { headers: request.headers, text, body: JSON.parse(text) as Record<string, unknown> }
      seen.push(entry)
      response.on('close', () => {
        if (!response.writableEnded) cutOff.push(entry)
      })
      void behaviour(response, entry)
    })
  })
  await listen(server)
  return {
    baseUrl: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/v1`,
    seen,
    cutOff,
    behave: (next) => {
      behaviour = next
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => {
          resolve()
        })
      }),
  }
}

/** Says these pieces, streamed or at once, as it is asked, and counts tokens as told; without `usage` it does not count. */
export function speak(
  pieces: readonly string[],
  usage?: { readonly prompt: number; readonly completion: number },
): Behaviour {
  const counted = usage && {
    prompt_tokens: usage.prompt,
    completion_tokens: usage.completion,
    total_tokens: usage.prompt + usage.completion,
  }
  return (response, { body }) => {
    if (body['stream'] !== true) {
      const message = { role: 'assistant', content: pieces.join('') }
      response.setHeader('content-type', 'application/json')
      response.end(
        JSON.stringify({
          id: 'c1',
          object: 'chat.completion',
          choices: [{ index: 0, message, finish_reason: 'stop' }],
          usage: counted,
        }),
      )
      return
    }
    response.setHeader('content-type', 'text/event-stream')
    for (const content of pieces)
      response.write(event({ choices: [{ index: 0, delta: { content }, finish_reason: null }] }))
    response.write(event({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }))
    if (counted !== undefined) response.write(event({ choices: [], usage: counted }))
    response.end('data: [DONE]\n\n')
  }
}

/** Says pieces for ever, as fast as they are taken. */
export function speakForEver(piece: string): Behaviour {
  return async (response) => {
    response.setHeader('content-type', 'text/event-stream')
    while (!response.destroyed) {
      const hasRoom = response.write(event({ choices: [{ index: 0, delta: { content: piece }, finish_reason: null }] }))
      await (hasRoom ? new Promise((resolve) => setImmediate(resolve)) : drained(response))
    }
  }
}

/** One event of a stream. */
export function event(data: unknown): string {
  return `data: ${JSON.stringify(data)}\n\n`
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    response.once('drain', resolve)
    response.once('close', resolve)
  })
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
}
