import { z } from 'zod'

/** As many copies of a receiver as one machine runs. */
const maxUrls = 16
/** Two are a rotation. More would only be a mistake. */
const maxSecrets = 5

/** Without addresses there are no webhooks, and no secrets. */
export const webhookEndpointSchema = z
  .strictObject({
    urls: z.array(z.url({ protocol: /^https?$/ })).max(maxUrls),
    secrets: z.array(z.string().regex(/^\S{8,200}$/, 'secrets have 8 to 200 characters and no spaces')).max(maxSecrets),
  })
  .refine(({ urls, secrets }) => urls.length > 0 === secrets.length > 0, {
    error: 'addresses and secrets come together',
    path: ['secrets'],
  })
