// What the scripts of the node drivers share: runs behaviours and prints what the client saw.
const fs = require('fs');

const env = process.env;
const target = { host: '127.0.0.1', port: Number(env.PGPORT), user: env.PGUSER, password: env.PGPASSWORD, database: env.PGDATABASE, ssl: false };
const tlsTarget = { host: 'localhost', ssl: { ca: fs.readFileSync(env.DRIVER_CA, 'utf8'), rejectUnauthorized: true } };
const firstLine = (text) => String(text).split('\n')[0];
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function code(query) {
	try {
		await query;
		return 'well';
	} catch (error) {
		return error.code || error.message;
	}
}

// COPY in, out, and one that fails, by pg-copy-streams; `one` and `two` are clients of node-postgres,
// `value` asks one of them for a value.
async function copy(one, two, value) {
	const { pipeline } = require('stream/promises');
	const { Readable } = require('stream');
	const { from, to } = require('pg-copy-streams');
	const put = (lines) => pipeline(Readable.from(lines), one.query(from('COPY d_copy FROM STDIN')));
	await one.query('DROP TABLE IF EXISTS d_copy; CREATE TABLE d_copy (a int, b text)');
	await put(Array.from({ length: 10000 }, (_, i) => `${i}\trow ${i}\n`));
	const seen = [await value(two, "SELECT count(*) || ' ' || sum(a) AS v FROM d_copy")];
	let length = 0;
	for await (const part of two.query(to('COPY d_copy TO STDOUT')))
		length += part.length;
	seen.push(length, await code(put(['x\ty\n'])), await value(one, 'SELECT count(*) AS v FROM d_copy'));
	await one.query('DROP TABLE d_copy');
	return seen;
}

// Waits for two notifications of what `one` listens to, 5 s at most.
async function hear(one, work) {
	const heard = [];
	one.on('notification', (n) => heard.push(`${n.channel} ${n.payload}`));
	await work();
	for (let i = 0; i < 100 && heard.length < 2; i++)
		await sleep(50);
	return heard;
}

async function behaviours(all) {
	for (const [name, work] of Object.entries(all)) {
		try {
			const result = await work();
			console.log(`${name}: ${Array.isArray(result) ? result.map(String).join(' ') : result}`);
		} catch (error) {
			console.error(error);
			console.log(`${name}: failed: ${error.code || ''} ${firstLine(error.message)}`);
		}
	}
	process.exit(0);
}

module.exports = { behaviours, copy, hear, sleep, code, firstLine, target, tlsTarget, BIG: 10 * 1024 * 1024, CLIENTS: 5 };
