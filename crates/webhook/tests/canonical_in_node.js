// Reads each line as JSON and writes it again, or says why it could not.
'use strict';

let rest = Buffer.alloc(0);
process.stdin.on('data', (chunk) => {
  // Split at the byte: to `readline` U+2028 would be the end of a line.
  rest = Buffer.concat([rest, chunk]);
  for (let end; (end = rest.indexOf(10)) >= 0; rest = rest.subarray(end + 1)) {
    process.stdout.write(echo(rest.subarray(0, end)) + '\n');
  }
});

function echo(line) {
  try {
    return JSON.stringify(JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(line)));
  } catch (error) {
    return `error: ${error.message}`;
  }
}
