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

module.exports = { behaviours, sleep, code, firstLine, target, tlsTarget, BIG: 10 * 1024 * 1024, CLIENTS: 5 };
