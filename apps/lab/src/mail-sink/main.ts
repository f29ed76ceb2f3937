import { createLogger, listen, readConfig } from '@seatbelt/http'
import { configSchema } from './config.ts'
import { createMailSink } from './create-mail-sink.ts'
import { createMailForwarder } from './forward-mail.ts'
import { createMailStore } from './mail-store.ts'
import { startSmtpListener } from './smtp-listener.ts'

const config = readConfig(configSchema)
const logger = createLogger({ level: config.LOG_LEVEL, instance: config.INSTANCE })

const store = createMailStore(config.MAIL_SINK_FILE)
const listener = await startSmtpListener({
  host: config.HOST,
  port: config.MAIL_SINK_SMTP_PORT,
  store,
  ...(config.MAIL_SINK_FORWARD_TO !== '' && {
    onKept: createMailForwarder(config.MAIL_SINK_FORWARD_TO, (fault) =>
      logger.warn({ err: fault }, 'mail cannot be forwarded; it is kept here all the same'),
    ),
  }),
})
logger.info({ host: config.HOST, port: listener.port }, 'taking mail')

await listen({
  app: createMailSink(store, listener),
  host: config.HOST,
  port: config.PORT,
  isReady: async () => true,
  logger,
  exitWithParent: config.EXIT_WITH_PARENT,
  stopWork: listener.close,
})
