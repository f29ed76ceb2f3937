/** Null for an empty list: nothing was measured. */
export function median(values: readonly number[]): number | null {
  return quantile(values, 0.5)
}

/** The smallest value that is not exceeded by that share of them. */
export function quantile(values: readonly number[], share: number): number | null {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null
}

/** Four digits are more than two noisy cores can tell. */
export function rounded(value: number): number
export function rounded(value: number | null): number | null
export function rounded(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(4))
}
