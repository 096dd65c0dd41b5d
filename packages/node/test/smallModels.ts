import { encodeOnnx, type ElementType } from '../models/languages/onnx.js'

/** A model that gives back the list it takes: `x` as `y`. */
export function elementwiseModel(type: ElementType): Uint8Array {
  return encodeOnnx({
    name: 'elementwise',
    description: 'Gives back what it takes.',
    inputs: [{ name: 'x', type, dims: ['length'] }],
    outputs: [{ name: 'y', type, dims: ['length'] }],
    nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
    tensors: [],
  })
}
