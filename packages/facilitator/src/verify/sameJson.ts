/** Deeper than any requirements are, and far from what would fill the stack. */
const MAX_DEPTH = 16

/** Whether two values of parsed JSON say the same, whatever the order of their members. Not deeper than 16 levels. */
export function sameJson(one: unknown, other: unknown, depth = 0): boolean {
  if (one === other) return true
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false
  if (depth === MAX_DEPTH || Array.isArray(one) !== Array.isArray(other)) return false
  const entries = Object.entries(one)
  return (
    entries.length === Object.keys(other).length &&
    entries.every(
      ([key, value]) =>
        Object.hasOwn(other, key) && sameJson(value, (other as Readonly<Record<string, unknown>>)[key], depth + 1),
    )
  )
}
