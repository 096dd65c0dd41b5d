import { ConfigError, type CliEdge } from '@opg/operator'
import { modelId, parseAddress, type Address } from '@opg/protocol'
import { readFile } from 'node:fs/promises'
import type { ComputeBackend, ModelOffer } from '../compute/backend.js'
import { ModelLoadError } from '../compute/errors.js'
import { createOnnxBackend } from '../compute/onnxBackend.js'
import { createOpenAiUpstream } from '../compute/openAiUpstream.js'
import { readApiKey } from '../config/keys.js'
import { SETTINGS, type ModelSetting } from '../config/settings.js'

/** Loads the models that are configured. @throws {ModelLoadError} @throws {ConfigError} */
export async function createBackends(
  models: readonly ModelSetting[],
  { node, edge }: { readonly node: Address; readonly edge: Pick<CliEdge, 'environment' | 'fetch'> },
): Promise<readonly ComputeBackend[]> {
  const twice = models.find(({ kind, name }, i) => models.findIndex((m) => m.kind === kind && m.name === name) !== i)
  if (twice !== undefined) throw new ConfigError(SETTINGS.models.variable, `a list that names ${twice.name} once`)
  return Promise.all(models.map((model) => createBackend(model, { node, edge })))
}

async function createBackend(
  setting: ModelSetting,
  { node, edge }: { readonly node: Address; readonly edge: Pick<CliEdge, 'environment' | 'fetch'> },
): Promise<ComputeBackend> {
  const model = offerOf(setting, node)
  if (setting.kind === 'onnx') {
    const { maxInputElements, maxOutputElements } = setting
    return createOnnxBackend({
      model,
      onnx: await readModel(setting),
      ...(maxInputElements === undefined ? {} : { maxInputElements }),
      ...(maxOutputElements === undefined ? {} : { maxOutputElements }),
    })
  }
  return createOpenAiUpstream({
    model,
    upstreamModel: setting.upstreamModel ?? setting.name,
    baseUrl: setting.baseUrl,
    apiKey: setting.apiKeyEnv === undefined ? undefined : readApiKey(edge.environment, setting.apiKeyEnv).reveal(),
    idleTimeoutMs: setting.idleTimeoutSeconds * 1000,
    limits: { maxOutputTokens: setting.maxOutputTokens, defaultOutputTokens: setting.defaultOutputTokens },
    gatewayTeeIds: setting.gatewayTeeIds ?? [],
    fetch: edge.fetch,
  })
}

/** A model that names neither its id nor its registrant is the node's own. */
function offerOf({ name, modelId: id, registrant, prices }: ModelSetting, node: Address): ModelOffer {
  const owner =
    registrant === undefined ? node : parseAddress(registrant, `${SETTINGS.models.variable}: ${name}.registrant`)
  return { name, modelId: id ?? modelId({ registrant: owner, name }), prices }
}

async function readModel({ name, file }: Extract<ModelSetting, { readonly kind: 'onnx' }>): Promise<Uint8Array> {
  try {
    return await readFile(file)
  } catch (cause) {
    throw new ModelLoadError(name, `the file ${file} cannot be read.`, { cause })
  }
}
