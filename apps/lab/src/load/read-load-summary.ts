import { readFileSync } from 'node:fs'
import { z } from 'zod'

const schema = z.object({
  durationMs: z.number(),
  orders: z.int(),
  copies: z.int(),
  concurrency: z.int(),
  metrics: z.record(
    z.string(),
    z.object({
      type: z.string(),
      values: z.record(z.string(), z.number()),
      thresholds: z.record(z.string(), z.object({ ok: z.boolean() })).optional(),
    }),
  ),
})

export type LoadSummary = z.infer<typeof schema>

/** What loadtests/lib/summary.ts wrote; null where k6 did not come that far. */
export function readLoadSummary(path: string): LoadSummary | null {
  try {
    return schema.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return null
  }
}
