import { InvalidInputError } from './errors.js'
import { type StructName, type StructValues, TYPES, encodeType, isStructName } from './structs.js'
import type { Hex } from './types.js'
import { Words, keccakText } from './words.js'

type WriteField = (words: Words, value: unknown) => void

interface Plan {
  readonly typeHash: Hex
  /** The type hash, then one word for each field. Used again and again: hashing is synchronous and no struct holds itself. */
  readonly words: Words
  readonly fields: readonly { readonly name: string; readonly write: WriteField }[]
}

const plans = new Map<StructName, Plan>()

/** EIP-712 type hash of a struct. */
export function typeHash(name: StructName): Hex {
  return planOf(name).typeHash
}

/**
 * EIP-712 `hashStruct`.
 *
 * @throws {InvalidInputError} if a member is missing or does not fit its type
 */
export function hashStruct<Name extends StructName>(name: Name, value: StructValues[Name]): Hex {
  return hashObject(name, value)
}

function hashObject(name: StructName, value: unknown): Hex {
  if (typeof value !== 'object' || value === null) {
    throw new InvalidInputError({ field: name, expected: 'an object', value })
  }
  const { words, fields } = planOf(name)
  const members = value as Readonly<Record<string, unknown>>
  for (const field of fields) field.write(words, members[field.name])
  return words.hash()
}

function planOf(name: StructName): Plan {
  const known = plans.get(name)
  if (known !== undefined) return known
  const hash = keccakText(encodeType(name))
  const types = TYPES[name]
  const words = new Words(1 + types.length)
  words.writeHex(0, hash, { length: 32, field: 'typeHash' })
  const fields = types.map((field, i) => ({
    name: field.name,
    write: writer({ field: `${name}.${field.name}`, type: field.type, index: i + 1 }),
  }))
  const plan = { typeHash: hash, words, fields }
  plans.set(name, plan)
  return plan
}

function writer(member: { readonly field: string; readonly type: string; readonly index: number }): WriteField {
  const { field, type, index } = member
  if (type === 'address')
    return (words, value) => {
      words.writeHex(index, value, { length: 20, field })
    }
  if (type === 'bytes32')
    return (words, value) => {
      words.writeHex(index, value, { length: 32, field })
    }
  if (type === 'bool')
    return (words, value) => {
      words.writeBool(index, value, field)
    }
  if (type.startsWith('uint')) {
    const bits = Number(type.slice('uint'.length))
    return (words, value) => {
      words.writeUint(index, value, { bits, field })
    }
  }
  const base = type.replace('[]', '')
  if (!isStructName(base)) throw new InvalidInputError({ field, expected: 'a known type', value: type })
  if (base === type)
    return (words, value) => {
      words.writeHex(index, hashObject(base, value), { length: 32, field })
    }
  return (words, value) => {
    words.writeHex(index, hashArray({ name: base, field, value }), { length: 32, field })
  }
}

function hashArray({
  name,
  field,
  value,
}: {
  readonly name: StructName
  readonly field: string
  readonly value: unknown
}): Hex {
  if (!Array.isArray(value)) throw new InvalidInputError({ field, expected: 'an array', value })
  const words = new Words(value.length)
  value.forEach((member: unknown, i) => {
    words.writeHex(i, hashObject(name, member), { length: 32, field })
  })
  return words.hash()
}
