import { InvalidInputError } from '@opg/protocol'
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { elementwiseModel } from '../../test/smallModels.js'
import type { ComputedAnswer } from '../service/types.js'
import type { ComputeBackend, JsonObject } from './backend.js'
import { createOnnxBackend } from './onnxBackend.js'

const LANGUAGES = new URL('../../models/languages/languages.onnx', import.meta.url)
const prices = { perRequest: 1000n, inputPerMillion: 2_000_000n, outputPerMillion: 3_000_000n }
const model = (name: string) => ({ name, modelId: `0x${'11'.repeat(32)}` as const, prices })

async function run(backend: ComputeBackend, body: JsonObject): Promise<ComputedAnswer & { readonly json: JsonObject }> {
  const chunks: Uint8Array[] = []
  const io = {
    signal: new AbortController().signal,
    emit: (chunk: Uint8Array) => {
      chunks.push(chunk)
      return Promise.resolve()
    },
  }
  const answer = await backend.prepare(body, JSON.stringify(body).length).run(io)
  return { ...answer, json: JSON.parse(Buffer.concat(chunks).toString()) as JsonObject }
}

function refusal(act: () => unknown): { field: string; expected: string; found: string } {
  try {
    act()
  } catch (error) {
    if (error instanceof InvalidInputError) return error
    throw error
  }
  return { field: 'nothing was refused', expected: '', found: '' }
}

describe('createOnnxBackend', () => {
  let languages: ComputeBackend
  const elementwise = new Map<string, ComputeBackend>()

  beforeAll(async () => {
    languages = await createOnnxBackend({
      model: model('languages'),
      onnx: await readFile(LANGUAGES),
      maxInputElements: 500,
    })
    for (const type of ['float', 'uint8', 'int64', 'string'] as const) {
      elementwise.set(type, await createOnnxBackend({ model: model(type), onnx: elementwiseModel(type) }))
    }
  })
  afterAll(async () => {
    await Promise.all([languages, ...elementwise.values()].map((backend) => backend.close()))
  })
  const of = (type: string): ComputeBackend => {
    const backend = elementwise.get(type)
    if (backend === undefined) throw new TypeError(type)
    return backend
  }

  it('answers a text with its language, and counts elements as tokens', async () => {
    const { json, usage, contentType } = await run(languages, {
      model: 'languages',
      input: { text: 'Where is the station?' },
    })
    expect(json).toMatchObject({
      model: 'languages',
      output: {
        language: { type: 'string', dims: [1], data: ['en'] },
        probabilities: { type: 'float32', dims: [1, 6] },
      },
      usage: { inputTokens: 21, outputTokens: 7 },
    })
    expect(usage).toEqual({ inputTokens: 21n, outputTokens: 7n })
    expect(contentType).toBe('application/json; charset=utf-8')
  })

  it('gives the same answer to a text, to its bytes, and to a tensor of them', async () => {
    const bytes = [...new TextEncoder().encode('Où est la gare ?')]
    const forms = ['Où est la gare ?', bytes, { dims: [bytes.length], data: bytes }]
    const answers = await Promise.all(forms.map((text) => run(languages, { model: 'languages', input: { text } })))
    expect(new Set(answers.map(({ json }) => JSON.stringify(json))).size).toBe(1)
  })

  it('asks at most what the shapes allow', () => {
    const call = languages.prepare({ model: 'languages', input: { text: 'abcd' } }, 100)
    // 4 bytes in, 1 + 6 elements out.
    expect(call.maxFee).toBe(1000n + 4n * 2n + 7n * 3n)
    expect(call.isStreamed).toBe(false)
  })

  it('runs many requests at once', async () => {
    const texts = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? 'Where is the station?' : 'Wo ist der Bahnhof?'))
    const answers = await Promise.all(texts.map((text) => run(languages, { model: 'languages', input: { text } })))
    const told = answers.map(({ json }) => JSON.stringify(json['output']))
    expect(told.every((output, i) => output.includes(i % 2 === 0 ? '"en"' : '"de"'))).toBe(true)
  })

  it.each([
    ['float', { dims: [2], data: [1.5, -2] }, [1.5, -2]],
    [
      'int64',
      { dims: [3], data: [1, '-9223372036854775808', '9223372036854775807'] },
      ['1', '-9223372036854775808', '9223372036854775807'],
    ],
    ['uint8', [0, 255], [0, 255]],
    ['string', ['a', ''], ['a', '']],
    ['string', 'one', ['one']],
    ['float', [], []],
  ])('carries %s both ways: %j', async (type, x, data) => {
    expect((await run(of(type), { model: type, input: { x } })).json).toMatchObject({ output: { y: { data } } })
  })

  it('writes numbers that JSON lacks as texts', async () => {
    const { json } = await run(of('float'), { model: 'float', input: { x: [1e39, -1e39] } })
    expect(json).toMatchObject({ output: { y: { data: ['Infinity', '-Infinity'] } } })
  })

  it.each([
    ['no input', undefined, 'input'],
    ['a list as input', [], 'input'],
    ['a missing tensor', {}, 'input.x'],
    ['an unknown tensor', { x: [1], z: [1] }, 'input.z'],
    ['__proto__ as a tensor', JSON.parse('{"x":[1],"__proto__":[1]}'), 'input.__proto__'],
    ['a number', { x: 1 }, 'input.x'],
    ['a text for numbers', { x: '1' }, 'input.x'],
    ['null', { x: null }, 'input.x'],
    ['an unknown member', { x: { dims: [1], data: [1], type: 'float32' } }, 'input.x.type'],
    ['dims without data', { x: { dims: [1] } }, 'input.x.data'],
    ['dims that are too many', { x: { dims: [1, 1], data: [1] } }, 'input.x.dims'],
    ['negative dims', { x: { dims: [-1], data: [1] } }, 'input.x.dims'],
    ['fractional dims', { x: { dims: [0.5], data: [1] } }, 'input.x.dims'],
    ['dims that claim terabytes', { x: { dims: [1e15], data: [1] } }, 'input.x.data'],
    ['dims out of exact numbers', { x: { dims: [1e300], data: [1] } }, 'input.x.dims'],
    ['nested data', { x: [[1]] }, 'input.x.data[0]'],
    ['a text among numbers', { x: [1, '2'] }, 'input.x.data[1]'],
    ['null among numbers', { x: [null] }, 'input.x.data[0]'],
  ])('refuses %s', (_, input, field) => {
    expect(
      refusal(() => of('float').prepare({ model: 'float', ...(input === undefined ? {} : { input }) }, 10)).field,
    ).toBe(field)
  })

  it.each([
    ['uint8', [256]],
    ['uint8', [-1]],
    ['uint8', [1.5]],
    ['int64', ['9223372036854775808']],
    ['int64', [2 ** 53]],
    ['int64', ['1e3']],
    ['int64', ['']],
    ['string', [1]],
  ])('refuses, for %s, %j', (type, x) => {
    expect(refusal(() => of(type).prepare({ model: type, input: { x } }, 10)).field).toBe('input.x.data[0]')
  })

  it('refuses members it does not know, and inputs that are too large', () => {
    expect(refusal(() => languages.prepare({ model: 'languages', input: { text: 'a' }, stream: true }, 10)).field).toBe(
      'stream',
    )
    expect(refusal(() => languages.prepare({ model: 'languages', input: { text: 'a'.repeat(501) } }, 600)).found).toBe(
      '"501 elements"',
    )
    expect(refusal(() => languages.prepare({ model: 'languages', input: { text: 'a'.repeat(500) } }, 600)).field).toBe(
      'nothing was refused',
    )
  })

  it('fails, and bills nothing, where the answer is larger than what is sold', async () => {
    const backend = await createOnnxBackend({
      model: model('float'),
      onnx: elementwiseModel('float'),
      maxOutputElements: 2,
    })
    await expect(run(backend, { model: 'float', input: { x: [1, 2] } })).resolves.toBeDefined()
    await expect(run(backend, { model: 'float', input: { x: [1, 2, 3] } })).rejects.toMatchObject({
      code: 'ANSWER_TOO_LARGE',
    })
    await backend.close()
  })

  it('refuses a file that is no model, naming the model', async () => {
    await expect(createOnnxBackend({ model: model('broken'), onnx: new Uint8Array([1, 2, 3]) })).rejects.toMatchObject({
      code: 'MODEL_LOAD',
      model: 'broken',
    })
  })
})
