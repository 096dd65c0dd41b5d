import { readFile } from 'node:fs/promises'
import { InferenceSession, Tensor, env } from 'onnxruntime-web'
import { beforeAll, describe, expect, it } from 'vitest'
import { HELD_OUT, LANGUAGES, TRAINING, type Example } from '../models/languages/corpus.js'
import { languageOnnx } from '../models/languages/languageOnnx.js'
import { trainLanguageModel } from '../models/languages/train.js'

const FILE = new URL('../models/languages/languages.onnx', import.meta.url)

describe('languages.onnx', () => {
  let session: InferenceSession

  beforeAll(async () => {
    env.wasm.numThreads = 1
    session = await InferenceSession.create(await readFile(FILE))
  })

  const tell = async (text: string): Promise<string> => {
    const bytes = new TextEncoder().encode(text)
    const { language } = await session.run({ text: new Tensor('uint8', bytes, [bytes.length]) })
    return String(language?.data[0])
  }
  const accuracy = async (examples: readonly Example[]): Promise<number> => {
    const told = await Promise.all(examples.map(async ({ text, language }) => (await tell(text)) === language))
    return told.filter(Boolean).length / examples.length
  }

  it('is what its maker makes, byte by byte', async () => {
    const made = languageOnnx(trainLanguageModel(TRAINING))
    expect(Buffer.from(made).equals(await readFile(FILE))).toBe(true)
  })

  it('never saw the sentences it is judged by', () => {
    const learned = new Set(TRAINING.map(({ text }) => text))
    expect(HELD_OUT.filter(({ text }) => learned.has(text))).toEqual([])
    expect(HELD_OUT).toHaveLength(8 * LANGUAGES.length)
  })

  it('tells the language of at least nine in ten of them, where chance tells one in six', async () => {
    expect(await accuracy(HELD_OUT)).toBeGreaterThanOrEqual(0.9)
  })

  it('does not learn from the labels if they are shifted: what it knows is in the sentences', async () => {
    const shifted = HELD_OUT.map(({ text, language }) => ({
      text,
      language: LANGUAGES[(LANGUAGES.indexOf(language) + 1) % LANGUAGES.length] ?? language,
    }))
    expect(await accuracy(shifted)).toBeLessThan(0.2)
  })

  it.each(['', 'a', 'é', 'THE WEATHER SHOULD GET BETTER'])('takes %j', async (text) => {
    expect(LANGUAGES).toContain(await tell(text))
  })
})
