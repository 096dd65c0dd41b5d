import { resolve } from 'node:path'
import { buildContracts } from './buildContracts.js'
import { buildDeployments } from './buildDeployments.js'
import { buildPermit2 } from './buildPermit2.js'

const root = resolve(import.meta.dirname, '../../..')
const generated = resolve(import.meta.dirname, '../src/generated')

buildPermit2(resolve(generated, 'permit2.ts'))
buildContracts(root, generated)
buildDeployments(root, generated)
