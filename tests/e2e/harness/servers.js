// Node's own HTTP server: says in the header `x-read` what it read of a request, of a form its fields. Prints its port.
const http = require('node:http');

async function fieldsOf(request, body) {
  const kind = request.headers['content-type'];
  if (!kind || !/^(multipart\/form-data|application\/x-www-form-urlencoded)\b/.test(kind)) return null;
  const form = await new Response(body, { headers: { 'content-type': kind } }).formData();
  return [...form].map(([name, value]) =>
    [name, typeof value === 'string' ? value : { filename: value.name, size: value.size }]);
}

const server = http.createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', async () => {
    const url = new URL(request.url, `http://${request.headers.host}`);
    const body = Buffer.concat(parts);
    const said = JSON.stringify({
      method: request.method,
      path: decodeURIComponent(url.pathname),
      host: request.headers.host,
      query: [...url.searchParams],
      body: body.toString('base64'),
      form: await fieldsOf(request, body).catch((error) => String(error)),
    });
    response.writeHead(200, { 'x-read': Buffer.from(said).toString('base64'), 'content-length': 0 });
    response.end();
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
