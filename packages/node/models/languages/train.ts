import { LANGUAGES, type Example } from './corpus.js'

/** Rows of the embedding table: three bytes in a row are hashed to one of them. */
export const BUCKETS = 1024
/** Numbers in an embedding. */
export const WIDTH = 12
/** The bytes around a text, so that the shortest one has three and word ends at its edges count. */
export const PADDING = { before: [0x20, 0x20], after: [0x20] } as const
/** A trigram's bucket is the sum of its bytes times these, modulo `BUCKETS`. */
export const MULTIPLIERS = [1, 37, 389] as const

const EPOCHS = 60
const LEARNING_RATE = 0.5

export interface LanguageModel {
  /** `BUCKETS` rows of `WIDTH`. */
  readonly embeddings: Float32Array
  /** `WIDTH` rows of one number for each language. */
  readonly weights: Float32Array
  /** One for each language. */
  readonly bias: Float32Array
}

/** The byte that stands for a byte: capitals of ASCII become small letters. */
export function foldByte(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte
}

/** The buckets of a text's trigrams. */
export function trigramBuckets(text: string): readonly number[] {
  const bytes = [...PADDING.before, ...[...new TextEncoder().encode(text)].map(foldByte), ...PADDING.after]
  return bytes.slice(2).map((third, index) => {
    const [first = 0, second = 0] = bytes.slice(index, index + 2)
    return (first * MULTIPLIERS[0] + second * MULTIPLIERS[1] + third * MULTIPLIERS[2]) % BUCKETS
  })
}

/**
 * Learns to tell languages by gradient descent: the mean of the trigrams' embeddings, one linear layer, softmax and
 * cross-entropy. It uses only operations that IEEE 754 defines to the last bit, and rounds to 32 bits at the end, so
 * that the same examples give the same model on every machine.
 */
export function trainLanguageModel(examples: readonly Example[]): LanguageModel {
  const classes = LANGUAGES.length
  const random = pseudoRandom(20_240_601)
  const embeddings = Float64Array.from({ length: BUCKETS * WIDTH }, () => random() - 0.5)
  const weights = Float64Array.from({ length: WIDTH * classes }, () => random() - 0.5)
  const bias = new Float64Array(classes)
  const cases = examples.map(({ text, language }) => ({
    buckets: trigramBuckets(text),
    target: LANGUAGES.indexOf(language),
  }))

  for (let epoch = 0; epoch < EPOCHS; epoch++) {
    for (const { buckets, target } of shuffled(cases, random)) {
      const mean = meanOf(embeddings, buckets)
      const errors = softmax(scores({ mean, weights, bias })).map((p, label) => p - (label === target ? 1 : 0))
      const toMean = mean.map((_, row) => dot(weights.subarray(row * classes, (row + 1) * classes), errors))
      mean.forEach((value, row) => {
        errors.forEach((error, label) => {
          step(weights, row * classes + label, error * value)
        })
      })
      errors.forEach((error, label) => {
        step(bias, label, error)
      })
      for (const bucket of buckets) {
        // A mean hands each of its members the same small part; they are scaled up to learn as fast as the layer above.
        toMean.forEach((gradient, column) => {
          step(embeddings, bucket * WIDTH + column, (gradient * 8) / buckets.length)
        })
      }
    }
  }
  return {
    embeddings: Float32Array.from(embeddings),
    weights: Float32Array.from(weights),
    bias: Float32Array.from(bias),
  }
}

function step(parameters: Float64Array, index: number, gradient: number): void {
  parameters[index] = (parameters[index] ?? 0) - LEARNING_RATE * gradient
}

function meanOf(embeddings: Float64Array, buckets: readonly number[]): Float64Array {
  const mean = new Float64Array(WIDTH)
  for (const bucket of buckets) {
    for (let column = 0; column < WIDTH; column++) {
      mean[column] = (mean[column] ?? 0) + (embeddings[bucket * WIDTH + column] ?? 0) / buckets.length
    }
  }
  return mean
}

function scores(input: {
  readonly mean: Float64Array
  readonly weights: Float64Array
  readonly bias: Float64Array
}): Float64Array {
  const classes = input.bias.length
  return input.bias.map((start, label) =>
    input.mean.reduce((sum, value, row) => sum + value * (input.weights[row * classes + label] ?? 0), start),
  )
}

function softmax(values: Float64Array): Float64Array {
  const highest = values.reduce((a, b) => (a > b ? a : b))
  const powers = values.map((value) => exponential(value - highest))
  const total = powers.reduce((a, b) => a + b)
  return powers.map((power) => power / total)
}

function dot(left: Float64Array, right: Float64Array): number {
  return left.reduce((sum, value, index) => sum + value * (right[index] ?? 0), 0)
}

/** e^x for x ≤ 0 by (e^(x/1024))^1024: `Math.exp` may differ in its last bit from one engine to the next. */
function exponential(x: number): number {
  if (x < -700) return 0
  const small = x / 1024
  let power = 1 + small * (1 + (small / 2) * (1 + (small / 3) * (1 + (small / 4) * (1 + small / 5))))
  for (let i = 0; i < 10; i++) power *= power
  return power
}

function shuffled<T>(items: readonly T[], random: () => number): readonly T[] {
  const keyed = items.map((item) => ({ item, key: random() }))
  return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item)
}

/** A linear congruential generator: numbers from 0 to 1 that a seed decides. */
function pseudoRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
