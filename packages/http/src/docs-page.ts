import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import express, { type Router } from 'express'
import { methodNotAllowed } from './request-ladder.ts'

const assets = ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png'] as const

/**
 * Everything comes from this server, and the page talks to nobody else. `unsafe-inline` for styles only: Swagger UI
 * writes style attributes. `data:` for the icons in its style sheet.
 */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** `/docs`: `/openapi.json` to read and try out, with Swagger UI served from here. */
export function docsPage(options: { title: string }): Router {
  const router = express.Router()
  const folder = assetFolder()
  router.use('/docs', (_request, response, next) => {
    response.set({ 'Content-Security-Policy': contentSecurityPolicy, 'X-Content-Type-Options': 'nosniff' })
    next()
  })
  router
    .route(['/docs', '/docs/'])
    .get((_request, response) => void response.type('html').send(page(options.title)))
    .all(methodNotAllowed(['get']))
  router.get('/docs/start.js', (_request, response) => void response.type('js').send(startScript))
  for (const asset of assets) {
    router.get(`/docs/${asset}`, (_request, response) => response.sendFile(asset, { root: folder, maxAge: '1h' }))
  }
  return router
}

/** The bundle carries its assets in `docs/` beside it; run from source they are where the package manager put them. */
function assetFolder(): string {
  const besideTheBundle = fileURLToPath(new URL('./docs/', import.meta.url))
  if (existsSync(besideTheBundle)) return besideTheBundle
  return dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'))
}

function page(title: string): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>${title}</title>
    <link rel="icon" href="/docs/favicon-32x32.png">
    <link rel="stylesheet" href="/docs/swagger-ui.css">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <noscript>This page needs JavaScript; <a href="/openapi.json">the document itself</a> does not.</noscript>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/start.js"></script>
  </body>
</html>
`
}

/** The document that stands beside the page, also where a balancer puts a path before both. */
const startScript = `SwaggerUIBundle({ url: location.pathname.replace(/\\/docs\\/?$/, '/openapi.json'), dom_id: '#swagger-ui', deepLinking: true, tryItOutEnabled: true })
`
