-- Mistakes of honest analysts, one a line; what each is told is in mistakes.json.
select customr from sales
select s.custmer from sales s
select * from sale
select * from commission.slaes
select x.net from sales s
select "NET" from sales
select net from "Sales"
select sale_id from sales join credits on true
select payee_id from credits c join payees p on c.payee_id = p.payee_id
select customer, sum(net) from sales
select customer, net from sales group by customer
select customer from sales having sum(net) > 5
select customer from sales where sum(net) > 5 group by customer
select customer from sales where row_number() over (order by net) = 1
select sum(sum(net)) from sales
select net as n from sales where n > 5
select sum(net) as total from sales group by customer having total > 5
select rank() from sales
select count(*) over from sales
select net + customer from sales
select net || 1 from sales where net = 'abc'
select * from sales where sold_on = 5
select * from sales where sold_on > 2025-01-01
select * from sales where sold_on = '2025-13-01'
select * from sales where sold_on = '31/12/2025'
select * from sales where sold_on = 'last month'
select * from sales where net = '1,234.50'
select customer::int from sales
select customer::date from sales
select 'abc'::numeric
select cast('maybe' as boolean)
select sold_on - '1 month' from sales
select sold_on + 1.5 from sales
select sold_on + interval '1 moon' from sales
select net / 0 from sales
select 1 / (net - net) from sales
select ln(0)
select sqrt(-1)
select 99999999999::int
select power(10, 1000)::float8
select (select sale_id from sales)
select * from sales where sale_id = (select sale_id from sales)
select * from sales where sale_id in (select sale_id, net from sales)
select sale_id from sales union select sale_id, net from sales
select sale_id from sales union select net from sales
select distinct customer from sales order by net
select distinct on (customer) customer, net from sales order by net
select * from sales order by 99
select customer from sales group by 2
select * from sales a, sales a
select * from sales join credits using (customer)
select * from sales join credits
select upper(net) from sales
select substring(net, 1, 2) from sales
select date_trunc('mounth', sold_on) from sales
select extract(fortnight from sold_on) from sales
select to_char(net) from sales
select coalesce(net, 'n/a') from sales
select case when net > 1 then 'a' else 5 end from sales
select greatest(net, 'x') from sales
select now() at time zone 'Mars/Phobos'
select timestamptz '2025-01-01 10:00 Mars/Phobos'
select array[1, 'a']
select roles[1] from users where roles = 'admin'
select roles->'a' from users
select definition.rules from plan_versions
select definition->rules from plan_versions
select definition->>'a' + 1 from plan_versions
select jsonb_array_elements(definition) from plan_versions
select '{a:1}'::json
select jsonb_path_query('{}', '$.')
select * from sales where customer ~ '(['
select string_agg(customer) from sales
select percentile_cont(0.5) from sales
select percentile_cont(50) within group (order by net) from sales
select sum(customer) from sales
select max(*) from sales
select avg(sold_on) from sales
select count(distinct customer, net) from sales
select * from generate_series(1, 10, 0)
select * from generate_series('2025-01-01', '2025-02-01', '1 day')
select * from sales limit -1
select * from sales limit 'x'
select * from sales where net between 1
select * from sales where customer = "Acme"
select * from sales where customer like 5
select * from sales where net in ('a', 'b')
select * from sales where (net, customer) = (1)
select * from sales where net
select not net from sales
select * from sales where customer is true
select with_total.x from sales
with a as (select 1), a as (select 2) select * from a
with recursive t as (select 1 n union all select 'x' from t) select * from t
with recursive t as (select 1 n union all select sum(n) from t) select * from t
select * from (select 1, 2) as t(a, b, c)
select row_number() over w from sales
select sum(net) over (order by sold_on rows between current row and 1 preceding) from sales
select lag(net, 'a') over (order by sold_on) from sales
select repeat('x', -5), chr(0)
select make_date(2025, 2, 30)
select name collate "xx" from payees
select format('%z', 1)
select * from sales where sale_id = any('a')
select * from sales where sale_id = any(select 1)
select net.* from sales
select sales.* from sales s
select from_currency * 2 from exchange_rates
select * from sales where net = $1::customer
select client_id, current_setting('TimeZone') from clients
select case from (select case when true then 1 end) y
select "timestamp" from (select now()::timestamp) z
select array from (select array[1,2]) q
select bool from (select true) q
select lag(net) ignore nulls over (order by sold_on) from sales limit 1
select date(now()), text(5), int4('5'), timestamp(now()), numeric(5.5)
select year(sold_on) from sales
select ifnull(net, 0) from sales
select nvl(net, 0) from sales
select isnull(net, 0) from sales
select top 10 * from sales
select datediff('day', sold_on, now()) from sales
select convert(varchar, net) from sales
select group_concat(sale_id) from sales
select len(customer) from sales
select dateadd(month, 1, sold_on) from sales
select iif(net > 1, 1, 0) from sales
select [net] from sales
select `net` from sales
select sale_id from sales qualify row_number() over (order by net) = 1
select * exclude (cost) from sales
select net from sales limit 5, 10
select net from sales where customer = "Customer 1"
select approx_count_distinct(customer) from sales
select count(*) from sales where customer rlike 'x'
select median(net) from sales
select format_date('%Y', sold_on) from sales
select sales.net.x from sales
select date_trunc(month, sold_on) from sales
select sold_on::year from sales
select cast(net as double) from sales
select cast(net as string) from sales
select cast(sold_on as datetime) from sales
select unix_timestamp(sold_on) from sales
select safe_cast(net as int) from sales
select pivot from sales
select net from sales where net == 5
select net from sales where net <=> 5
select count(*) from sales where customer contains 'x'
select sum(net) from sales group by territory_id with rollup
select net from sales where sold_on >= :start
select net from sales where sold_on >= ?
select net from sales where sold_on >= %(start)s
select net from sales where sold_on >= @start
select net from sales where sold_on >= {{start}}
select net from sales; select 1
select * from sales where sold_on = $1::date
select definition - array['a','b'] from plan_versions
select net from sales where ($1 is null or customer = $1)
