import { defineConfig } from 'prisma/config'

// `generate` needs no database; `migrate deploy` reads the address from the environment.
export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
  datasource: { url: process.env.DATABASE_URL ?? 'postgresql://127.0.0.1:5432/seatbelt' },
})
