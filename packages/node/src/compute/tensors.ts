import { InvalidInputError } from '@opg/protocol'
import { Tensor } from 'onnxruntime-web'

/** What a model says of one of its inputs or outputs. A string in `shape` names a free dimension. */
export interface TensorSpec {
  readonly name: string
  readonly type: TensorType
  readonly shape: readonly (number | string)[]
}

/** A tensor as JSON. Integers of 64 bits are decimal strings; numbers that JSON lacks are `"NaN"`, `"Infinity"`, `"-Infinity"`. */
export interface WireTensor {
  readonly type: string
  readonly dims: readonly number[]
  readonly data: readonly (number | string | boolean)[]
}

const INTEGERS = {
  int8: [-(2 ** 7), 2 ** 7 - 1, Int8Array],
  uint8: [0, 2 ** 8 - 1, Uint8Array],
  int16: [-(2 ** 15), 2 ** 15 - 1, Int16Array],
  uint16: [0, 2 ** 16 - 1, Uint16Array],
  int32: [-(2 ** 31), 2 ** 31 - 1, Int32Array],
  uint32: [0, 2 ** 32 - 1, Uint32Array],
} as const
const BIG_INTEGERS = {
  int64: [-(2n ** 63n), 2n ** 63n - 1n, BigInt64Array],
  uint64: [0n, 2n ** 64n - 1n, BigUint64Array],
} as const

/** Element types that are taken and given. */
export type TensorType = keyof typeof INTEGERS | keyof typeof BIG_INTEGERS | 'float32' | 'float64' | 'bool' | 'string'

const TYPES: readonly string[] = [
  ...Object.keys(INTEGERS),
  ...Object.keys(BIG_INTEGERS),
  'float32',
  'float64',
  'bool',
  'string',
]
const MAX_RANK = 8
const INTEGER_TEXT = /^-?(0|[1-9][0-9]{0,19})$/

export function isTensorType(type: string): type is TensorType {
  return TYPES.includes(type)
}

/**
 * Reads a tensor from JSON: `{ dims, data }`, or for a tensor of one dimension the list of its elements, or a text (of
 * a `uint8` tensor its UTF-8 bytes, of a `string` tensor its one element).
 *
 * @throws {InvalidInputError} naming the member that is wrong
 */
export function readTensor(spec: TensorSpec, value: unknown, field: string): Tensor {
  const { dims, data } = partsOf(spec, value, field)
  checkDims(spec, dims, `${field}.dims`)
  const size = dims.reduce((product, dim) => product * dim, 1)
  if (data.length !== size) {
    throw new InvalidInputError({
      field: `${field}.data`,
      expected: `${String(size)} elements, the product of its dims`,
      value: `${String(data.length)} elements`,
    })
  }
  return tensorOf(spec.type, { dims, data, field: `${field}.data` })
}

/** A tensor as JSON. */
export function writeTensor(tensor: Tensor): WireTensor {
  const values = Array.from<number | bigint | string>(tensor.data as ArrayLike<number | bigint | string>)
  return {
    type: tensor.type,
    dims: [...tensor.dims],
    data: values.map((value) => {
      if (tensor.type === 'bool') return value === 1
      return typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value)) ? String(value) : value
    }),
  }
}

interface Parts {
  readonly dims: readonly number[]
  readonly data: ArrayLike<unknown>
}

function partsOf(spec: TensorSpec, value: unknown, field: string): Parts {
  if (typeof value === 'string') {
    if (spec.type === 'string') return { dims: spec.shape.length === 0 ? [] : spec.shape.map(() => 1), data: [value] }
    if (spec.type === 'uint8' && spec.shape.length === 1) {
      const bytes = new TextEncoder().encode(value)
      return { dims: [bytes.length], data: bytes }
    }
  }
  if (Array.isArray(value) && spec.shape.length === 1) return { dims: [value.length], data: value as unknown[] }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidInputError({ field, expected: `a tensor of ${spec.type} as { dims, data }`, value })
  }
  for (const key of Object.keys(value)) {
    if (key !== 'dims' && key !== 'data') {
      throw new InvalidInputError({
        field: `${field}.${key.slice(0, 40)}`,
        expected: 'absent, as it is unknown',
        value: 'present',
      })
    }
  }
  const dims: unknown = 'dims' in value ? value.dims : undefined
  const data: unknown = 'data' in value ? value.data : undefined
  const isDims =
    Array.isArray(dims) && dims.length <= MAX_RANK && dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0)
  if (!isDims) {
    throw new InvalidInputError({
      field: `${field}.dims`,
      expected: 'a list of whole numbers of at least 0',
      value: dims,
    })
  }
  if (!Array.isArray(data)) {
    throw new InvalidInputError({ field: `${field}.data`, expected: `a flat list of ${spec.type}`, value: data })
  }
  return { dims: dims as number[], data: data as unknown[] }
}

function checkDims({ shape }: TensorSpec, dims: readonly number[], field: string): void {
  const fits =
    dims.length === shape.length && shape.every((wanted, axis) => typeof wanted === 'string' || dims[axis] === wanted)
  if (!fits) {
    throw new InvalidInputError({
      field,
      expected: `[${shape.join(', ')}]`,
      value: `[${dims.slice(0, MAX_RANK).join(', ')}]`,
    })
  }
}

function tensorOf(type: TensorType, input: Parts & { readonly field: string }): Tensor {
  const { dims, data, field } = input
  if (type === 'string') {
    return new Tensor(
      'string',
      read(data, { field, expected: 'a text', map: (value) => (typeof value === 'string' ? value : undefined) }),
      dims,
    )
  }
  if (type === 'bool') {
    const bits = read(data, {
      field,
      expected: 'true or false',
      map: (value) => (typeof value === 'boolean' ? Number(value) : undefined),
    })
    return new Tensor('bool', Uint8Array.from(bits), dims)
  }
  if (type === 'float32' || type === 'float64') {
    const numbers = read(data, { field, expected: 'a finite number', map: finite })
    return type === 'float32'
      ? new Tensor(type, Float32Array.from(numbers), dims)
      : new Tensor(type, Float64Array.from(numbers), dims)
  }
  if (type === 'int64' || type === 'uint64') {
    const [min, max] = BIG_INTEGERS[type]
    const expected = `an integer of ${type}, as a number or as decimal digits`
    const numbers = read(data, { field, expected, map: (value) => bigInteger(value, min, max) })
    return type === 'int64'
      ? new Tensor(type, BigInt64Array.from(numbers), dims)
      : new Tensor(type, BigUint64Array.from(numbers), dims)
  }
  const [min, max, TypedArray] = INTEGERS[type]
  const isInRange = (value: unknown): value is number =>
    Number.isInteger(value) && Number(value) >= min && Number(value) <= max
  const numbers = read(data, {
    field,
    expected: `an integer from ${String(min)} to ${String(max)}`,
    map: (value) => (isInRange(value) ? value : undefined),
  })
  return new Tensor(type, TypedArray.from(numbers), dims)
}

function read<T>(
  data: ArrayLike<unknown>,
  options: { readonly field: string; readonly expected: string; readonly map: (value: unknown) => T | undefined },
): T[] {
  return Array.from(data, (value, index) => {
    const mapped = options.map(value)
    if (mapped === undefined) {
      throw new InvalidInputError({ field: `${options.field}[${String(index)}]`, expected: options.expected, value })
    }
    return mapped
  })
}

function finite(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

function bigInteger(value: unknown, min: bigint, max: bigint): bigint | undefined {
  const isInteger = Number.isSafeInteger(value) || (typeof value === 'string' && INTEGER_TEXT.test(value))
  if (!isInteger) return undefined
  const number = BigInt(value as number | string)
  return number >= min && number <= max ? number : undefined
}
