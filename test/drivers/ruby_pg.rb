# pg: prepared statements by name, COPY, asynchronous notifications.
require 'digest'
require 'pg'

CLIENTS = 5
BIG = 10 * 1024 * 1024
$stdout.sync = true

def connections(count, **more)
  all = Array.new(count) { PG.connect(**more) }
  all.each { |c| c.set_notice_processor { |_| nil } }
  yield(*all)
ensure
  all&.each(&:close)
end

def value(conn, sql, params = [])
  conn.exec_params(sql, params).getvalue(0, 0)
end

def code
  yield
rescue PG::Error => e
  e.result ? e.result.error_field(PG::PG_DIAG_SQLSTATE) : e.message.lines.first.strip
end

def behaviour(name)
  puts "#{name}: #{Array(yield).map(&:inspect).join(' ')}"
rescue StandardError => e
  warn e.full_message
  puts "#{name}: failed: #{e.message.lines.first}"
end

behaviour :prepared do
  connections(CLIENTS) do |*all|
    all.each_with_index do |c, k|
      c.prepare('own', "SELECT $1::int * #{k}")
      c.prepare('same', 'SELECT $1::int + 1')
    end
    sum = (0...8).sum do |i|
      all.sum { |c| %w[own same].sum { |n| c.exec_prepared(n, [i]).getvalue(0, 0).to_i } }
    end
    [sum, code { all[0].prepare('own', 'SELECT 1') }, code { all[0].exec_prepared('none') }]
  end
end

behaviour :settings do
  connections(CLIENTS, options: '-c lock_timeout=4321') do |*all|
    all.each_with_index { |c, i| c.exec("SET TimeZone = 'Etc/GMT+#{i}'; SET search_path = d#{i}") }
    (all + all).flat_map do |c|
      begin
        c.transaction do
          c.exec("SET LOCAL work_mem = '7MB'; SET statement_timeout = 5000")
          raise 'roll back'
        end
      rescue RuntimeError
        nil
      end
      %w[TimeZone statement_timeout search_path work_mem lock_timeout].map { |n| value(c, "SHOW #{n}") }
    end
  end
end

behaviour :custom_setting do
  connections(2) do |one, two|
    ask = "SELECT current_setting('app.user_id', true)"
    one.exec("SET app.user_id = '7'")
    seen = [value(one, ask), value(two, ask)]
    value(one, "SELECT set_config('app.user_id', $1, false)", ['8'])
    seen + [value(one, ask), value(two, ask)]
  end
end

behaviour :errors do
  connections(1) do |c|
    ['SELECT 1/0', 'SELEKT 1', 'SELECT * FROM no_such_table', 'SELECT 1', 'BEGIN', 'SELECT 1', "SELECT 'x'::int",
     'SELECT 1', 'ROLLBACK', 'SELECT 5'].map { |sql| code { c.exec(sql).cmd_status } }
  end
end

behaviour :cancel do
  connections(2) do |one, two|
    one.send_query('SELECT pg_sleep(30)')
    sleep 0.3
    one.cancel
    [code { one.get_last_result }, value(one, 'SELECT 1'), value(two, 'SELECT 2')]
  end
end

behaviour :copy do
  connections(2) do |one, two|
    one.exec('DROP TABLE IF EXISTS d_copy; CREATE TABLE d_copy (a int, b text)')
    one.copy_data('COPY d_copy FROM STDIN') { 10_000.times { |i| one.put_copy_data("#{i}\trow #{i}\n") } }
    length = 0
    two.copy_data('COPY d_copy TO STDOUT') do
      while (row = two.get_copy_data)
        length += row.size
      end
    end
    failed = code { one.copy_data('COPY d_copy FROM STDIN') { one.put_copy_data("x\ty\n") } }
    seen = [length, failed, value(one, 'SELECT count(*) FROM d_copy')]
    one.exec('DROP TABLE d_copy')
    seen
  end
end

behaviour :listen do
  connections(2) do |one, two|
    one.exec('LISTEN d_news')
    two.exec("NOTIFY d_news, 'hello'")
    value(two, 'SELECT pg_notify($1, $2)', %w[d_news again])
    heard = []
    2.times { one.wait_for_notify(10) { |channel, _pid, payload| heard << "#{channel} #{payload}" } }
    heard
  end
end

behaviour :temp_table do
  connections(3) do |one, two, three|
    one.exec('CREATE TEMP TABLE d_temp (a int)')
    two.exec('CREATE TEMP TABLE d_temp (a text)')
    one.exec('INSERT INTO d_temp VALUES (1), (2)')
    two.exec_params('INSERT INTO d_temp VALUES ($1)', ['x'])
    seen = [value(one, 'SELECT sum(a) FROM d_temp'), value(two, 'SELECT max(a) FROM d_temp'),
            code { value(three, 'SELECT a FROM d_temp') }]
    one.exec('DROP TABLE d_temp')
    seen + [code { value(one, 'SELECT a FROM d_temp') }]
  end
end

behaviour :advisory_lock do
  connections(2) do |one, two|
    [value(one, 'SELECT pg_try_advisory_lock(86)'), value(two, 'SELECT pg_try_advisory_lock(86)'),
     value(one, 'SELECT pg_advisory_unlock(86)'), value(two, 'SELECT pg_try_advisory_lock(86)'),
     value(two, 'SELECT pg_advisory_unlock(86)')]
  end
end

behaviour :cursor do
  connections(3) do |*all|
    all.each_with_index { |c, k| c.exec("BEGIN; DECLARE c CURSOR FOR SELECT generate_series(1, 1000) * #{k + 1}") }
    sums = [0, 0, 0]
    10.times { all.each_with_index { |c, k| sums[k] += c.exec('FETCH 100 FROM c').column_values(0).sum(&:to_i) } }
    all.each { |c| c.exec('COMMIT') }
    sums
  end
end

behaviour :big_value do
  connections(1) do |c|
    big = '0123456789abcdef' * (BIG / 16)
    [value(c, 'SELECT md5($1)', [big]) == Digest::MD5.hexdigest(big), value(c, 'SELECT $1::text', [big]) == big]
  end
end

def login_error(**target)
  PG.connect(**target).close
  'no error'
rescue PG::Error => e
  e.message[/FATAL.*/]
end

behaviour(:wrong_password) { login_error(password: 'wrong') }
behaviour(:unknown_database) { login_error(dbname: 'no_such_database') }
behaviour :tls do
  connections(1, sslmode: 'verify-full', sslrootcert: ENV['DRIVER_CA']) do |one|
    connections(1) { |two| [value(one, 'SELECT 1'), one.ssl_in_use?, value(two, 'SELECT 2'), two.ssl_in_use?] }
  end
end
behaviour :pipeline do
  connections(3) do |*all|
    all.each(&:enter_pipeline_mode)
    all.each_with_index { |c, k| 20.times { |i| c.send_query_params('SELECT $1::int', [i * k]) } && c.pipeline_sync }
    all.map do |c|
      sum = Array.new(20) { c.get_result.getvalue(0, 0).to_i.tap { c.get_result } }.sum
      c.get_result
      c.exit_pipeline_mode
      sum
    end
  end
end
