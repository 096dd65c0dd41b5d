import { MODEL_NAME } from './world.js'

const SENTENCES = [
  'The node computes only against money that is locked.',
  'Der Knoten rechnet erst, wenn das Geld gesperrt ist.',
  "Le nœud ne calcule que si l'argent est bloqué.",
  'El nodo sólo calcula cuando el dinero está bloqueado.',
  'Il nodo calcola solo quando il denaro è bloccato.',
  'Het knooppunt rekent pas als het geld vaststaat.',
] as const

/** Body of a request that has the model tell the language of a sentence; another index, another body. */
export function inferBody(index: number): Uint8Array {
  const sentence = `${SENTENCES[index % SENTENCES.length] ?? ''} (${String(index)})`
  const data = [...new TextEncoder().encode(sentence)]
  const body = { model: MODEL_NAME, input: { text: { dims: [data.length], data } } }
  return new TextEncoder().encode(JSON.stringify(body))
}
