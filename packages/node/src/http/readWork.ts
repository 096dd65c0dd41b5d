import type { Logger } from '@opg/operator'
import { InvalidInputError } from '@opg/protocol'
import type { FastifyRequest } from 'fastify'
import type { ComputeBackend, ComputePath, PreparedCall } from '../compute/backend.js'
import type { PaidService } from '../service/types.js'
import type { Cashier } from '../x402/types.js'
import { HttpError } from './errors.js'
import type { NodeInfo } from './info.js'
import { parseJsonBody } from './jsonBody.js'

export interface ComputeRouteOptions {
  readonly service: PaidService
  /** Takes payments over x402; undefined where none are taken. */
  readonly cashier: Cashier | undefined
  readonly backends: readonly ComputeBackend[]
  readonly info: NodeInfo
  readonly logger: Logger
  /** How long a client of a stream may take nothing before it counts as gone. */
  readonly stallTimeoutMs: number
  /** Ends all that runs. */
  readonly stop: AbortSignal
  /** The URL of what a request asks for, as clients know it. */
  readonly publicUrl: (request: FastifyRequest) => string
}

/** What is asked for. */
export interface Work {
  readonly backend: ComputeBackend
  readonly call: PreparedCall
  readonly body: Uint8Array
}

/** Reads a request, and finds who would do it. @throws {InvalidInputError} @throws {HttpError} */
export function readWork(path: ComputePath, request: FastifyRequest, { backends }: ComputeRouteOptions): Work {
  // requestHash covers the path as it was sent; only one form of it is served.
  if (request.url !== path) {
    throw new InvalidInputError({ field: 'path', expected: `${path} without a query`, value: request.url })
  }
  const json = parseJsonBody(request.body)
  const name = json['model']
  const offered = backends.filter((backend) => backend.path === path)
  if (typeof name !== 'string') {
    throw new InvalidInputError({ field: 'model', expected: `the name of a model: ${namesOf(offered)}`, value: name })
  }
  const backend = offered.find(({ model }) => model.name === name)
  if (backend === undefined) {
    throw new HttpError(
      404,
      'MODEL_UNKNOWN',
      `This node does not offer that model under ${path}. It offers: ${namesOf(offered)}.`,
    )
  }
  const body = request.body instanceof Uint8Array ? request.body : new Uint8Array()
  return { backend, body, call: backend.prepare(json, body.length) }
}

function namesOf(backends: readonly ComputeBackend[]): string {
  return backends.map(({ model }) => model.name).join(', ') || 'none'
}
