import { operatorConfigSchema } from '../operator-config.ts'

export const configSchema = operatorConfigSchema('review')
