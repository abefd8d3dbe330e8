// knex over pg: schema builder, transactions with savepoints, migrations with their lock table.
const { behaviours, code, firstLine, BIG, CLIENTS, target, tlsTarget } = require('./node_behave.js');
const knex = (more = {}, rest = {}) => require('knex')({ client: 'pg', connection: { ...target, ...more }, pool: { min: 0, max: CLIENTS }, ...rest });

const db = knex();
const value = async (query) => Object.values((await query).rows[0])[0];

async function loginError(more) {
	const other = knex(more);
	try {
		await other.raw('SELECT 1');
		return 'no error';
	} catch (error) {
		return `${error.code} ${firstLine(error.message)}`;
	} finally {
		await other.destroy();
	}
}

const migrations = {
	getMigrations: async () => ['one', 'two'],
	getMigrationName: (name) => name,
	getMigration: async (name) => ({
		up: (on) => on.schema.createTable(`d_knex_${name}`, (t) => { t.increments('id'); t.text('note').unique(); }),
		down: (on) => on.schema.dropTable(`d_knex_${name}`),
	}),
};
const where = { migrationSource: migrations, tableName: 'd_knex_migrations' };

behaviours({
	migration: async () => {
		await db.migrate.rollback(where, true);
		const seen = [(await db.migrate.latest(where))[1], (await db.migrate.latest(where))[1]];
		return [...seen, (await db.migrate.currentVersion(where))];
	},
	prepared: async () => {
		const rows = await Promise.all(Array.from({ length: 80 }, (_, i) => db.raw(`SELECT ?::int * ${i % 5} AS v`, [i])));
		return rows.reduce((s, r) => s + r.rows[0].v, 0);
	},
	transaction: async () => {
		const ids = await Promise.all(Array.from({ length: 10 }, (_, i) => db.transaction(async (block) => {
			const [row] = await block('d_knex_one').insert({ note: `n${i}` }).returning('id');
			await block.transaction(async (inner) => {
				await inner('d_knex_one').insert({ note: `n${i}` });
			}).catch(() => {});
			const found = await block('d_knex_one').where({ id: row.id }).forUpdate().first();
			if (i % 2)
				throw new Error('roll back');
			return found.note;
		}).catch((error) => error.message)));
		return [...ids, (await db('d_knex_one').count('* as n'))[0].n];
	},
	errors: async () => [await code(db.raw('SELECT 1/0')), await code(db.raw('SELEKT 1')),
		await code(db('no_such_table').select()), await code(db('d_knex_one').insert({ note: 'n0' })), await value(db.raw('SELECT 5 AS v'))],
	cancel: async () => {
		const result = await db.raw('SELECT pg_sleep(30)').timeout(300, { cancel: true }).catch((error) => error.name);
		return [result, await value(db.raw('SELECT 1 AS v'))];
	},
	cursor: async () => {
		let n = 0;
		for (const row of await db('d_knex_one').select().orderBy('id').limit(3))
			n += row.note.length;
		return n;
	},
	big_value: async () => {
		const big = '0123456789abcdef'.repeat(BIG / 16);
		return await value(db.raw('SELECT ?::text AS v', [big])) === big;
	},
	wrong_password: () => loginError({ password: 'wrong' }),
	unknown_database: () => loginError({ database: 'no_such_database' }),
	tls: async () => {
		const other = knex(tlsTarget);
		const seen = await value(other.raw('SELECT 1 AS v'));
		await other.destroy();
		return seen;
	},
	search_path: async () => {
		const other = knex({}, { searchPath: ['d_own', 'public'] });
		const seen = [await value(other.raw('SHOW search_path')), await value(db.raw('SHOW search_path'))];
		await other.destroy();
		return seen;
	},
	rollback: async () => {
		const seen = (await db.migrate.rollback(where, true))[1];
		await db.schema.dropTable('d_knex_migrations').dropTable('d_knex_migrations_lock');
		return seen;
	},
});
