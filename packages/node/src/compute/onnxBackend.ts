import { InvalidInputError, quoteMaxFee } from '@opg/protocol'
import { InferenceSession, env, type Tensor } from 'onnxruntime-web'
import type { ComputeIo } from '../service/types.js'
import type { ComputeBackend, JsonObject, ModelOffer, PreparedCall } from './backend.js'
import { ComputeError, ModelLoadError } from './errors.js'
import { isTensorType, readTensor, writeTensor, type TensorSpec } from './tensors.js'

export interface OnnxOptions {
  readonly model: ModelOffer
  /** Contents of the `.onnx` file. */
  readonly onnx: Uint8Array
  /** The most elements that one request may send, over all inputs. */
  readonly maxInputElements?: number
  /** The most elements that one answer may have, over all outputs; what the shapes leave open is held to it. */
  readonly maxOutputElements?: number
}

const MAX_INPUT_ELEMENTS = 1_000_000
const MAX_OUTPUT_ELEMENTS = 65_536

/**
 * Sells an ONNX model under `POST /v1/infer`: `{ model, input: { [name]: tensor } }` is answered by
 * `{ model, output: { [name]: { type, dims, data } }, usage: { inputTokens, outputTokens } }`.
 * A token of an ONNX model is one element of a tensor, so the price follows from the shapes.
 *
 * It runs as WebAssembly on one thread, inside the process: a run holds up all else, so it is for small models.
 *
 * @throws {ModelLoadError} if the file is no model, or has inputs or outputs that JSON cannot carry
 */
export async function createOnnxBackend(options: OnnxOptions): Promise<ComputeBackend> {
  const { model, maxInputElements = MAX_INPUT_ELEMENTS, maxOutputElements = MAX_OUTPUT_ELEMENTS } = options
  const session = await load(model.name, options.onnx)
  const inputs = specsOf(model.name, session.inputMetadata)
  const outputs = specsOf(model.name, session.outputMetadata)
  const outputBound = boundOf(outputs, maxOutputElements)

  const prepare = (body: JsonObject): PreparedCall => {
    const feeds = readFeeds(inputs, body)
    const inputElements = [...feeds.values()].reduce((sum, tensor) => sum + tensor.size, 0)
    if (inputElements > maxInputElements) {
      throw new InvalidInputError({
        field: 'input',
        expected: `at most ${String(maxInputElements)} elements`,
        value: `${String(inputElements)} elements`,
      })
    }
    const maxTokens = { maxInputTokens: BigInt(inputElements), maxOutputTokens: BigInt(outputBound) }
    return {
      maxFee: quoteMaxFee(model.prices, maxTokens),
      isStreamed: false,
      run: async (io: ComputeIo) => {
        const results = await infer(session, feeds)
        const outputElements = results.reduce((sum, [, tensor]) => sum + tensor.size, 0)
        if (outputElements > outputBound) {
          throw new ComputeError(
            'ANSWER_TOO_LARGE',
            `The model gave ${String(outputElements)} elements; at most ${String(outputBound)} are sold in one answer.`,
          )
        }
        const answer = {
          model: model.name,
          output: Object.fromEntries(results.map(([name, tensor]) => [name, writeTensor(tensor)])),
          usage: { inputTokens: inputElements, outputTokens: outputElements },
        }
        await io.emit(new TextEncoder().encode(JSON.stringify(answer)))
        return {
          usage: { inputTokens: BigInt(inputElements), outputTokens: BigInt(outputElements) },
          contentType: 'application/json; charset=utf-8',
        }
      },
    }
  }
  return { path: '/v1/infer', model, prepare, close: () => session.release() }
}

async function load(name: string, onnx: Uint8Array): Promise<InferenceSession> {
  env.wasm.numThreads = 1
  env.logLevel = 'error'
  try {
    return await InferenceSession.create(onnx, { executionProviders: ['wasm'] })
  } catch (cause) {
    throw new ModelLoadError(name, 'the file cannot be loaded as an ONNX model.', { cause })
  }
}

function specsOf(model: string, metadata: readonly InferenceSession.ValueMetadata[]): readonly TensorSpec[] {
  return metadata.map((value) => {
    if (!value.isTensor || !isTensorType(value.type)) {
      const type = value.isTensor ? value.type : 'no tensor'
      throw new ModelLoadError(model, `${value.name} is of type ${type}, which JSON requests cannot carry.`)
    }
    return { name: value.name, type: value.type, shape: value.shape }
  })
}

function boundOf(outputs: readonly TensorSpec[], cap: number): number {
  const sizes = outputs.map(({ shape }) =>
    shape.reduce<number>((product, dim) => product * (typeof dim === 'number' ? dim : Infinity), 1),
  )
  return Math.min(
    cap,
    sizes.reduce((sum, size) => sum + size, 0),
  )
}

function readFeeds(inputs: readonly TensorSpec[], body: JsonObject): ReadonlyMap<string, Tensor> {
  for (const key of Object.keys(body)) {
    if (key !== 'model' && key !== 'input') {
      throw new InvalidInputError({ field: key.slice(0, 40), expected: 'absent, as it is unknown', value: 'present' })
    }
  }
  const names = inputs.map(({ name }) => name)
  const given = body['input']
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new InvalidInputError({
      field: 'input',
      expected: `an object of the tensors ${names.join(', ')}`,
      value: given,
    })
  }
  for (const key of Object.keys(given)) {
    if (!names.includes(key)) {
      throw new InvalidInputError({
        field: `input.${key.slice(0, 40)}`,
        expected: `absent: this model takes ${names.join(', ')}`,
        value: 'present',
      })
    }
  }
  const source = new Map<string, unknown>(Object.entries(given))
  return new Map(inputs.map((spec) => [spec.name, readTensor(spec, source.get(spec.name), `input.${spec.name}`)]))
}

async function infer(session: InferenceSession, feeds: ReadonlyMap<string, Tensor>): Promise<[string, Tensor][]> {
  try {
    return Object.entries(await session.run(Object.fromEntries(feeds)))
  } catch (cause) {
    throw new ComputeError('MODEL_FAILED', 'The model could not work with this input. Nothing is billed.', { cause })
  }
}
