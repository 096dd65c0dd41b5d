import { LANGUAGES } from './corpus.js'
import { encodeOnnx, type GraphNode } from './onnx.js'
import { BUCKETS, MULTIPLIERS, PADDING, WIDTH, foldByte, type LanguageModel } from './train.js'

/**
 * The model as an `.onnx` file. It takes a text as its UTF-8 bytes (`text`: uint8, any length) and gives the language
 * (`language`: one string) and how sure it is of each (`probabilities`: float32, in the order of `LANGUAGES`).
 * Folding, trigrams and hashing are part of the graph: who asks needs no code of this model.
 */
export function languageOnnx(model: LanguageModel): Uint8Array {
  const end = 2 ** 31 - 1
  const slices = MULTIPLIERS.flatMap((_, offset): GraphNode[] => [
    {
      op: 'Slice',
      inputs: ['padded', `from${String(offset)}`, `to${String(offset)}`],
      outputs: [`byte${String(offset)}`],
    },
    { op: 'Mul', inputs: [`byte${String(offset)}`, `multiplier${String(offset)}`], outputs: [`term${String(offset)}`] },
  ])
  return encodeOnnx({
    name: 'languages',
    description: `Tells the language of a text: ${LANGUAGES.join(', ')}.`,
    inputs: [{ name: 'text', type: 'uint8', dims: ['length'] }],
    outputs: [
      { name: 'language', type: 'string', dims: [1] },
      { name: 'probabilities', type: 'float', dims: [1, LANGUAGES.length] },
    ],
    nodes: [
      { op: 'Cast', inputs: ['text'], outputs: ['bytes'], attributes: { to: 7 } },
      { op: 'Gather', inputs: ['fold', 'bytes'], outputs: ['folded'] },
      { op: 'Concat', inputs: ['before', 'folded', 'after'], outputs: ['padded'], attributes: { axis: 0 } },
      ...slices,
      { op: 'Add', inputs: ['term0', 'term1'], outputs: ['term01'] },
      { op: 'Add', inputs: ['term01', 'term2'], outputs: ['hashes'] },
      { op: 'Mod', inputs: ['hashes', 'buckets'], outputs: ['trigrams'] },
      { op: 'Gather', inputs: ['embeddings', 'trigrams'], outputs: ['embedded'] },
      { op: 'ReduceMean', inputs: ['embedded'], outputs: ['mean'], attributes: { axes: [0], keepdims: 1 } },
      { op: 'Gemm', inputs: ['mean', 'weights', 'bias'], outputs: ['scores'] },
      { op: 'Softmax', inputs: ['scores'], outputs: ['probabilities'], attributes: { axis: 1 } },
      { op: 'ArgMax', inputs: ['scores'], outputs: ['best'], attributes: { axis: 1, keepdims: 0 } },
      { op: 'Gather', inputs: ['languages', 'best'], outputs: ['language'] },
    ],
    tensors: [
      { name: 'fold', type: 'int64', dims: [256], values: Array.from({ length: 256 }, (_, byte) => foldByte(byte)) },
      { name: 'before', type: 'int64', dims: [PADDING.before.length], values: PADDING.before },
      { name: 'after', type: 'int64', dims: [PADDING.after.length], values: PADDING.after },
      ...MULTIPLIERS.flatMap((multiplier, offset) => [
        { name: `multiplier${String(offset)}`, type: 'int64' as const, dims: [], values: [multiplier] },
        { name: `from${String(offset)}`, type: 'int64' as const, dims: [1], values: [offset] },
        // Trigrams end at the last byte, so the first of their bytes stops two before it.
        { name: `to${String(offset)}`, type: 'int64' as const, dims: [1], values: [offset === 2 ? end : offset - 2] },
      ]),
      { name: 'buckets', type: 'int64', dims: [], values: [BUCKETS] },
      { name: 'embeddings', type: 'float', dims: [BUCKETS, WIDTH], values: model.embeddings },
      { name: 'weights', type: 'float', dims: [WIDTH, LANGUAGES.length], values: model.weights },
      { name: 'bias', type: 'float', dims: [LANGUAGES.length], values: model.bias },
      { name: 'languages', type: 'string', dims: [LANGUAGES.length], values: LANGUAGES },
    ],
  })
}
