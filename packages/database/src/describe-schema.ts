import pg from 'pg'

/**
 * The whole schema of a migrated database as one readable script, with the comment of each constraint above it.
 *
 * `prisma/schema.sql` is its output. `npx vitest run packages/database/test/schema.test.ts -u` writes that file, and
 * without `-u` compares it. The script comes from the catalog because the PostgreSQL of this project has no pg_dump.
 * It is for reading; the migrations are what runs.
 */
export async function describeSchema(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000, statement_timeout: 10_000 })
  await client.connect()
  try {
    const parts = [
      '-- The schema after all migrations, written from the catalog. Do not edit.\n',
      ...(await lines(client, enums)),
      ...(await tables(client)),
      ...(await lines(client, functions)),
    ]
    return `${parts.join('\n')}`
  } finally {
    await client.end()
  }
}

async function lines(client: pg.Client, sql: string, parameters: unknown[] = []): Promise<string[]> {
  const { rows } = await client.query<{ line: string }>(sql, parameters)
  return rows.map((row) => row.line)
}

async function tables(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ oid: number; name: string; comment: string | null }>(
    `SELECT c.oid::int, c.relname AS name, obj_description(c.oid) AS comment
       FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> '_prisma_migrations'
      ORDER BY c.relname`,
  )
  const scripts: string[] = []
  for (const { oid, name, comment } of rows) {
    const inside = [...(await lines(client, columns, [oid])), ...(await lines(client, constraints, [oid]))]
    scripts.push(
      `${comment ? `-- ${comment}\n` : ''}CREATE TABLE ${name} (\n${withCommas(inside)}\n);`,
      ...(await lines(client, indexes, [oid])),
      ...(await lines(client, triggers, [oid])),
      '',
    )
  }
  return scripts
}

/** A comma after each definition but the last, before the comment lines of the next one. */
function withCommas(definitions: readonly string[]): string {
  return definitions.map((definition, at) => (at < definitions.length - 1 ? `${definition},` : definition)).join('\n')
}

const enums = `
SELECT format(E'CREATE TYPE %I AS ENUM (%s);\\n', t.typname, string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)) AS line
  FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid
 WHERE t.typnamespace = 'public'::regnamespace GROUP BY t.typname ORDER BY t.typname`

const columns = `
SELECT coalesce('  -- ' || col_description(a.attrelid, a.attnum) || E'\\n', '')
       || format('  %I %s%s%s', a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END,
                 coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '')) AS line
  FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`

// NOT NULL became a constraint of its own in PostgreSQL 18; the columns say it already.
const constraints = `
SELECT coalesce('  -- ' || obj_description(oid, 'pg_constraint') || E'\\n', '')
       || format('  CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)) AS line
  FROM pg_constraint WHERE conrelid = $1 AND contype IN ('p', 'u', 'f', 'c')
 ORDER BY array_position(ARRAY['p', 'u', 'f', 'c'], contype::text), conname`

const indexes = `
SELECT coalesce('-- ' || obj_description(i.indexrelid, 'pg_class') || E'\\n', '') || pg_get_indexdef(i.indexrelid) || ';' AS line
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
 WHERE i.indrelid = $1 AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u'))
 ORDER BY c.relname`

const triggers = `
SELECT coalesce('-- ' || obj_description(oid, 'pg_trigger') || E'\\n', '') || pg_get_triggerdef(oid) || ';' AS line
  FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal ORDER BY tgname`

const functions = `
SELECT coalesce('-- ' || obj_description(oid, 'pg_proc') || E'\\n', '')
       || rtrim(pg_get_functiondef(oid), E'\\n') || E';\\n' AS line
  FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY proname`
