/** An ABI as the compiler gives it. */
export type Abi = readonly unknown[]

/** The value as a TypeScript literal whose type is as narrow as it can be. */
export function toLiteral(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)} as const`
}
