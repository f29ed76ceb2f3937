# One image for every process of the house; the command picks the program (docker-compose.yml shows each).
#
# The last stage holds Node, the bundles and the migrations: no package manager's tree, no sources, nothing that is loaded from
# node_modules. Both stages are the same exact Node; raise it here and nowhere else.

ARG NODE=node:24.21.0-bookworm-slim

FROM ${NODE} AS build
WORKDIR /seatbelt
ENV CI=true TURBO_TELEMETRY_DISABLED=1 TURBO_NO_UPDATE_NOTIFIER=1 CHECKPOINT_DISABLE=1

# Downloads depend on these files alone, so that a change of sources does not repeat them.
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml .npmrc ./
RUN npm install --global "$(node -p "require('./package.json').packageManager")" && pnpm fetch

COPY . .
# `prisma generate` does not use the engine that it would download first; any program will do.
RUN pnpm install --frozen-lockfile --prefer-offline \
  && PRISMA_SCHEMA_ENGINE_BINARY=/bin/true pnpm exec prisma generate \
  && pnpm exec turbo run build --output-logs=errors-only

FROM ${NODE}
WORKDIR /seatbelt
ENV NODE_ENV=production HOST=0.0.0.0

# Where the gateway's ledger and the mail go: a volume that is mounted here takes over its owner.
RUN install -d -o node -g node /var/lib/seatbelt

# It says that the bundles are ES modules.
COPY --from=build /seatbelt/package.json ./
COPY deploy/ready.sh deploy/
# A bundle finds its documentation's page (docs) and the migrations (prisma) beside itself.
COPY --from=build /seatbelt/apps/payments-api/dist apps/payments-api/dist
COPY --from=build /seatbelt/apps/booking-api/dist apps/booking-api/dist
COPY --from=build /seatbelt/apps/gateway/dist/main.js /seatbelt/apps/gateway/dist/main.js.map apps/gateway/dist/
COPY --from=build /seatbelt/apps/worker/dist/*.js /seatbelt/apps/worker/dist/*.js.map apps/worker/dist/
COPY --from=build /seatbelt/apps/worker/dist/prisma apps/worker/dist/prisma
# Of the lab only the auditor and the mail sink: the rest starts the native stack, and its control charges twice on purpose.
COPY --from=build /seatbelt/apps/lab/dist/auditor.js /seatbelt/apps/lab/dist/auditor.js.map apps/lab/dist/
COPY --from=build /seatbelt/apps/lab/dist/mail-sink.js /seatbelt/apps/lab/dist/mail-sink.js.map apps/lab/dist/

USER node
CMD ["node", "--enable-source-maps", "apps/payments-api/dist/main.js"]
