import { writeFile } from 'node:fs/promises'
import { TRAINING } from './corpus.js'
import { languageOnnx } from './languageOnnx.js'
import { trainLanguageModel } from './train.js'

// Makes languages.onnx anew: npx tsx packages/node/models/languages/make.ts
const file = new URL('./languages.onnx', import.meta.url)
const onnx = languageOnnx(trainLanguageModel(TRAINING))
await writeFile(file, onnx)
process.stdout.write(`${file.pathname}: ${String(onnx.length)} bytes\n`)
