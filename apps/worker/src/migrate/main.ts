import { createDatabase, developmentAccounts, migrate, seedDevelopment, waitForDatabase } from '@seatbelt/database'
import { createLogger, prepareOrExit, readConfig } from '@seatbelt/http'
import { configSchema } from './config.ts'

// One run brings the database to this build's schema, and ends. It may run as often as one likes, also several at once.

const config = readConfig(configSchema)
const logger = createLogger({ level: config.LOG_LEVEL, instance: config.INSTANCE })

await prepareOrExit(logger, async () => {
  await waitForDatabase(config.DATABASE_URL, config.DATABASE_WAIT_MS)
  const applied = await migrate(config.DATABASE_URL)
  for (const name of applied) logger.info(`applied the migration ${name}`)
  if (applied.length === 0) logger.info('the schema is up to date: nothing was applied')
  // Whether they would be accepted is another question: only who asks for them gets accounts with published keys.
  if (config.SEATBELT_DEMO_KEYS === 'accept') await seed()
})

async function seed(): Promise<void> {
  const { DATABASE_URL: url, INSTANCE: applicationName } = config
  const database = createDatabase({ url, poolSize: 1, applicationName, prepared: false })
  try {
    await seedDevelopment(database)
    logger.warn(`the database has ${developmentAccounts.length} development accounts, whose API keys are published`)
  } finally {
    await database.close()
  }
}
