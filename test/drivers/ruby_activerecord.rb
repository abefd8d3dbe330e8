# ActiveRecord: prepared statements of its own, migrations under an advisory lock, row locks.
require 'active_record'
require 'logger'
require 'timeout'

$stdout.sync = true
BIG = 10 * 1024 * 1024
TARGET = { adapter: 'postgresql', host: '127.0.0.1', port: ENV['PGPORT'].to_i, username: ENV['PGUSER'],
           password: ENV['PGPASSWORD'], database: ENV['PGDATABASE'], pool: 5, min_messages: 'warning' }.freeze
ActiveRecord::Base.establish_connection(TARGET)
ActiveRecord::Migration.verbose = false

class Account < ActiveRecord::Base
  self.table_name = 'd_accounts'
end

class CreateAccounts < ActiveRecord::Migration[6.1]
  def change
    create_table :d_accounts do |t|
      t.string :name, index: { unique: true }
      t.integer :balance, default: 0
    end
  end
end

class AddNote < ActiveRecord::Migration[6.1]
  disable_ddl_transaction!

  def change
    add_column :d_accounts, :note, :text
    add_index :d_accounts, :note, algorithm: :concurrently
  end
end

def connection
  ActiveRecord::Base.connection
end

def code
  yield
rescue ActiveRecord::ActiveRecordError => e
  e.cause.respond_to?(:result) && e.cause.result ? e.cause.result.error_field(PG::PG_DIAG_SQLSTATE) : e.class
end

def behaviour(name)
  puts "#{name}: #{Array(yield).map(&:inspect).join(' ')}"
rescue StandardError => e
  warn e.full_message
  puts "#{name}: failed: #{e.message.lines.first}"
end

# Each block in a thread, with a connection of its own.
def at_once(count)
  Array.new(count) { |i| Thread.new { ActiveRecord::Base.connection_pool.with_connection { yield i } } }.map(&:value)
end

# Fresh ones besides the main thread's; what is set there ends with them.
def connections(count)
  pool = ActiveRecord::Base.connection_pool
  pool.disconnect
  all = Array.new(count) { pool.checkout }
  yield(*all)
ensure
  all&.each do |one|
    pool.remove(one)
    one.disconnect!
  end
end

class Migrator < ActiveRecord::Migrator
  def self.with(*migrations)
    all = migrations.each_with_index.map { |m, i| m.new(m.name, i + 1) }
    new(:up, all, ActiveRecord::SchemaMigration)
  end
end

connection.execute('DROP TABLE IF EXISTS d_accounts, schema_migrations, ar_internal_metadata')
ActiveRecord::SchemaMigration.create_table
ActiveRecord::InternalMetadata.create_table

behaviour :migration do
  [Migrator.with(CreateAccounts).migrate.size, Migrator.with(CreateAccounts, AddNote).migrate.size,
   connection.columns('d_accounts').map(&:name), connection.indexes('d_accounts').map(&:columns),
   at_once(1) { connection.get_advisory_lock(87) && connection.release_advisory_lock(87) }, connection.release_advisory_lock(88)]
end

behaviour :migrations_at_once do
  results = at_once(3) { code { Migrator.with(CreateAccounts, AddNote).migrate.size } }
  results.all? { |r| r == 0 || r == ActiveRecord::ConcurrentMigrationError }
end

behaviour :prepared do
  Account.create!((0...50).map { |i| { name: "a#{i}", balance: i } })
  sums = at_once(5) { |k| (0...50).sum { |i| Account.find_by(name: "a#{i}").balance * k } }
  [sums, at_once(5) { |k| Account.where(balance: k..(k + 10)).sum(:balance) }]
end

behaviour :transaction do
  at_once(5) do |i|
    Account.transaction do
      Account.find_by(name: "a#{i}").update!(balance: 1000)
      Account.transaction(requires_new: true) do
        Account.create!(name: "a#{i}")
      rescue ActiveRecord::RecordNotUnique
        raise ActiveRecord::Rollback
      end
      raise ActiveRecord::Rollback if i.odd?
    end
    Account.find_by(name: "a#{i}").balance
  end
end

behaviour :with_lock do
  at_once(5) { 10.times { Account.find_by(name: 'a0').with_lock { |*| Account.find_by(name: 'a0').increment!(:balance) } } }
  Account.find_by(name: 'a0').balance
end

# Many requests that only read, each a transaction; some that write after they have read.
behaviour :read_transactions do
  sums = at_once(5) do
    (1..20).sum do |i|
      sleep(0.1)
      Account.transaction { Account.sum(:balance) + Account.find_by(name: "a#{i}").balance + Account.count }
    end
  end
  sums + at_once(1) do
    [1, 2].map do |i|
      Account.transaction do
        top = Account.maximum(:balance)
        Account.find_by(name: 'a9').update!(balance: top + i)
        sums << Account.maximum(:balance)
        raise ActiveRecord::Rollback if i == 2
      end
      Account.find_by(name: 'a9').balance
    end
  end
end

behaviour :errors do
  seen = ['SELECT 1/0', 'SELEKT 1', 'SELECT * FROM no_such_table', 'SELECT 1'].map { |s| code { connection.select_value(s) } }
  seen + [code { Account.create!(name: 'a1') }, code { Account.where('balance = ?', 30).first.name }]
end

behaviour :cancel do
  at_once(2) do |i|
    next connection.select_value('SELECT 2') if i == 1

    raw = connection.raw_connection
    Thread.new { sleep(0.3) && raw.cancel }
    [code { connection.select_value('SELECT pg_sleep(30)') }, connection.select_value('SELECT 1')]
  end
end

behaviour :settings do
  connection.execute("SET search_path = public, d_own; SET statement_timeout = '90s'")
  seen = %w[search_path statement_timeout].map { |n| connection.select_value("SHOW #{n}") }
  seen += at_once(3) { connection.select_value('SHOW statement_timeout') }
  connection.execute('RESET search_path; RESET statement_timeout')
  seen
end

behaviour :custom_setting do
  connections(2) do |one, two|
    ask = "SELECT current_setting('app.user_id', true)"
    one.execute("SET app.user_id = '7'")
    seen = [one.select_value(ask), two.select_value(ask)]
    one.exec_query("SELECT set_config('app.user_id', $1, false)", 'SQL', [[nil, '8']], prepare: true)
    seen + [one.select_value(ask), two.select_value(ask)]
  end
end

behaviour :copy do
  connections(2) do |one, two|
    one.execute('DROP TABLE IF EXISTS d_copy; CREATE TABLE d_copy (a int, b text)')
    raw = one.raw_connection
    raw.copy_data('COPY d_copy FROM STDIN') { 10_000.times { |i| raw.put_copy_data("#{i}\trow #{i}\n") } }
    seen = [two.select_value("SELECT count(*) || ' ' || sum(a) FROM d_copy")]
    length = 0
    two.raw_connection.copy_data('COPY d_copy TO STDOUT') do
      while (row = two.raw_connection.get_copy_data)
        length += row.size
      end
    end
    failed = begin
      raw.copy_data('COPY d_copy FROM STDIN') { raw.put_copy_data("x\ty\n") }
    rescue PG::Error => e
      e.result.error_field(PG::PG_DIAG_SQLSTATE)
    end
    seen += [length, failed, one.select_value('SELECT count(*) FROM d_copy')]
    one.drop_table('d_copy')
    seen
  end
end

behaviour :listen do
  connections(2) do |one, two|
    one.execute('LISTEN d_news')
    two.execute("NOTIFY d_news, 'hello'")
    two.exec_query('SELECT pg_notify($1, $2)', 'SQL', [[nil, 'd_news'], [nil, 'again']], prepare: true)
    heard = []
    2.times { one.raw_connection.wait_for_notify(10) { |channel, _pid, payload| heard << "#{channel} #{payload}" } }
    heard
  end
end

behaviour :temp_table do
  connection.execute('CREATE TEMP TABLE d_temp AS SELECT 7 AS a')
  seen = [connection.select_value('SELECT a FROM d_temp'), at_once(2) { code { connection.select_value('SELECT a FROM d_temp') } }]
  connection.execute('DROP TABLE d_temp')
  seen
end

behaviour :advisory_lock do
  seen = [connection.get_advisory_lock(89), at_once(1) { connection.get_advisory_lock(89) }]
  seen + [connection.release_advisory_lock(89), at_once(1) { connection.get_advisory_lock(89) && connection.release_advisory_lock(89) }]
end

behaviour :cursor do
  sum = 0
  Account.in_batches(of: 7) { |batch| sum += batch.count }
  sum
end

behaviour :big_value do
  big = '0123456789abcdef' * (BIG / 16)
  Account.find_by(name: 'a3').update!(note: nil)
  connection.remove_index(:d_accounts, :note)
  Account.find_by(name: 'a3').update!(note: big)
  Account.find_by(name: 'a3').note == big
end

def login_error(**more)
  ActiveRecord::Base.establish_connection(TARGET.merge(more))
  connection.select_value('SELECT 1').to_s
rescue ActiveRecord::ActiveRecordError => e
  e.message[/FATAL.*/] || e.message.lines.first.strip
ensure
  ActiveRecord::Base.establish_connection(TARGET)
end

behaviour(:wrong_password) { login_error(password: 'wrong') }
behaviour(:unknown_database) { login_error(database: 'no_such_database') }
behaviour(:tls) { login_error(sslmode: 'verify-full', sslrootcert: ENV['DRIVER_CA']) }
def see_altered_table
  first = at_once(3) { Account.order(:id).first.attributes.size }
  connection.add_column('d_accounts', 'more', :integer)
  Account.reset_column_information
  first + at_once(3) { Account.order(:id).first.attributes.size }
end

# It deallocates and tries again for as long as it is told of an old plan.
behaviour(:altered_table) { Timeout.timeout(10) { see_altered_table } }
ActiveRecord::Base.establish_connection(TARGET)
connection.execute('DROP TABLE d_accounts, schema_migrations, ar_internal_metadata')
