/** A writer of ONNX files, for the few parts of the format that a small model needs (onnx.proto, IR version 8). */

/** Element types by their number in `TensorProto.DataType`. */
export const ELEMENT = { float: 1, uint8: 2, int64: 7, string: 8 } as const

export type ElementType = keyof typeof ELEMENT

export interface Tensor {
  readonly name: string
  readonly type: ElementType
  readonly dims: readonly number[]
  readonly values: ArrayLike<number> | readonly string[]
}

export interface GraphNode {
  readonly op: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** Whole numbers and lists of them; enough for the operators used here. */
  readonly attributes?: Readonly<Record<string, number | readonly number[]>>
}

export interface GraphValue {
  readonly name: string
  readonly type: ElementType
  /** A string names a dimension that is free. */
  readonly dims: readonly (number | string)[]
}

export interface OnnxModel {
  readonly name: string
  readonly description: string
  readonly nodes: readonly GraphNode[]
  readonly tensors: readonly Tensor[]
  readonly inputs: readonly GraphValue[]
  readonly outputs: readonly GraphValue[]
}

const IR_VERSION = 8
const OPSET = 13
const ATTRIBUTE_INT = 2
const ATTRIBUTE_INTS = 7

/** The model as the bytes of an `.onnx` file. The same model always gives the same bytes. */
export function encodeOnnx(model: OnnxModel): Uint8Array {
  const graph = message([
    ...model.nodes.map((node, index) => bytes(1, nodeProto(node, `${node.op}_${String(index)}`))),
    text(2, model.name),
    ...model.tensors.map((tensor) => bytes(5, tensorProto(tensor))),
    ...model.inputs.map((value) => bytes(11, valueProto(value))),
    ...model.outputs.map((value) => bytes(12, valueProto(value))),
  ])
  return message([
    integer(1, IR_VERSION),
    text(2, 'opg-node'),
    text(6, model.description),
    bytes(7, graph),
    bytes(8, message([text(1, ''), integer(2, OPSET)])),
  ])
}

function nodeProto(node: GraphNode, name: string): Uint8Array {
  return message([
    ...node.inputs.map((input) => text(1, input)),
    ...node.outputs.map((output) => text(2, output)),
    text(3, name),
    text(4, node.op),
    ...Object.entries(node.attributes ?? {}).map(([key, value]) => bytes(5, attributeProto(key, value))),
  ])
}

function attributeProto(name: string, value: number | readonly number[]): Uint8Array {
  const isList = typeof value !== 'number'
  return message([
    text(1, name),
    ...(isList ? value.map((entry) => integer(8, entry)) : [integer(3, value)]),
    integer(20, isList ? ATTRIBUTE_INTS : ATTRIBUTE_INT),
  ])
}

function tensorProto(tensor: Tensor): Uint8Array {
  const values = Array.from<number | string>(tensor.values)
  const content =
    tensor.type === 'string'
      ? values.map((value) => text(6, String(value)))
      : [bytes(9, rawData(tensor.type, values.map(Number)))]
  return message([
    ...tensor.dims.map((dim) => integer(1, dim)),
    integer(2, ELEMENT[tensor.type]),
    text(8, tensor.name),
    ...content,
  ])
}

function rawData(type: Exclude<ElementType, 'string'>, values: readonly number[]): Uint8Array {
  const width = { float: 4, uint8: 1, int64: 8 }[type]
  const view = new DataView(new ArrayBuffer(values.length * width))
  values.forEach((value, index) => {
    if (type === 'float') view.setFloat32(index * width, value, true)
    else if (type === 'int64') view.setBigInt64(index * width, BigInt(value), true)
    else view.setUint8(index, value)
  })
  return new Uint8Array(view.buffer)
}

function valueProto(value: GraphValue): Uint8Array {
  const dims = value.dims.map((dim) => bytes(1, message([typeof dim === 'number' ? integer(1, dim) : text(2, dim)])))
  const tensorType = message([integer(1, ELEMENT[value.type]), bytes(2, message(dims))])
  return message([text(1, value.name), bytes(2, message([bytes(1, tensorType)]))])
}

// Protocol buffers: a field is its tag (number and wire type) and its content; a message is its fields in a row.

function message(fields: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(fields))
}

function integer(field: number, value: number): Uint8Array {
  return message([varint(field << 3), varint(value)])
}

function bytes(field: number, content: Uint8Array): Uint8Array {
  return message([varint((field << 3) | 2), varint(content.length), content])
}

function text(field: number, content: string): Uint8Array {
  return bytes(field, new TextEncoder().encode(content))
}

/** Seven bits a byte, low ones first; numbers here are whole and not negative. */
function varint(value: number): Uint8Array {
  const out: number[] = []
  let rest = value
  while (rest >= 0x80) {
    out.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  out.push(rest)
  return Uint8Array.from(out)
}
