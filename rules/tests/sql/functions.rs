//! Every function, conversion and operator, by table: expression => JSON, where `-` is Undefined.

use crate::support::{check_values, message, value_of};

#[test]
fn conversions_follow_the_table() {
    check_values(
        r#"{"n":null,"o":{"a":1},"l":[1,2],"big":12345678901234567890,"w":6.0,"e":1e3}"#,
        r#"
        cast(2.5 AS Int) => 3
        cast(-2.5 AS Integer) => -3
        cast('2.9' AS Int) => 2
        cast('2.50' AS Decimal) => 2.5
        cast('-12E-1' AS Double) => -1.2
        cast('1E+2' AS Decimal) => -
        cast('.5' AS Decimal) => -
        cast(' 5' AS Int) => -
        cast('' AS Int) => -
        cast(true AS Int) => 1
        cast(false AS Decimal) => 0
        cast(0 AS Boolean) => false
        cast(0.1 AS Bool) => true
        cast('TRUE' AS Boolean) => true
        cast('no' AS Boolean) => -
        cast(1.50 AS String) => "1.5"
        cast(true AS Text) => "true"
        cast(o AS Varchar) => "{\"a\":1}"
        cast(l AS nvarchar) => "[1,2]"
        cast(o AS Int) => -
        cast(n AS Int) => null
        cast(n AS Ntext) => -
        cast(n AS Boolean) => -
        cast(nope AS String) => -
        cast(w AS String) => "6"
        big + 1 => 12345678901234567891
        w + 0 => 6
        e * 1 => 1000
        "#,
    );
}

#[test]
fn operators_follow_the_table() {
    check_values(
        r#"{"n":null,"a":[1,2],"b":[1,2.0],"c":[2,1],"o":{"x":1,"y":[2]},"p":{"y":[2],"x":1.0},"d":{"x":9,"x":1,"y":[2]}}"#,
        r#"
        true AND 'TRUE' => true
        true AND 1 => -
        false AND nope => -
        true OR nope => -
        NOT 'false' => true
        NOT 5 => -
        '10' > 9 => true
        'x' > 9 => -
        n > 1 => -
        true > 0 => -
        2 <= 2.0 => true
        1 = 1.0 => true
        1 = '1' => false
        1 <> '1' => true
        'a' = 'a' => true
        n = n => true
        n <> n => false
        n = 0 => false
        nope = 1 => -
        nope <> 1 => -
        a = b => true
        a = c => false
        o = p => true
        o = d => true
        a <> o => true
        'a' + 1.50 => "a1.5"
        1 + '2' => "12"
        'a' + true => "atrue"
        'a' + a => "a[1,2]"
        'a' + n => -
        1 + true => -
        1 + 2.0 => 3
        0.1 + 0.2 => 0.3
        7 / 2 => 3
        -7 / 2 => -3
        7 / 2.0 => 3.5
        7 / 0 => -
        7.5 / 0 => -
        -7 % 4 => -3
        7.5 % 2 => 1.5
        '3' * '2.5' => 7.5
        3 - n => -
        -'5' => -5
        -(-5) => 5
        2 + 3 * 4 => 14
        (2 + 3) * 4 => 20
        10 - 4 - 3 => 3
        NOT 1 = 2 AND true => true
        1 < 2 = true => true
        2 IN [1, 2] => true
        'x' IN a => false
        2 IN 'x' => -
        9999999999999999999999999999999999 + 1 => 1E34
        CASE 2 WHEN 1 THEN 'a' WHEN 2.0 THEN 'b' ELSE 'c' END => "b"
        CASE nope WHEN 1 THEN 'a' ELSE 'c' END => -
        CASE 5 WHEN 1 THEN 'a' ELSE 'c' END => "c"
        "#,
    );
}

#[test]
fn functions_about_values() {
    check_values(
        r#"{"n":null,"l":[10,{"k-1":"v"}],"s":"äbc","o":{"a":{"b":null}},"e":[{"n":"t","v":22.5},{"n":"l","v":125},7]}"#,
        r#"
        get(l, 0) => 10
        get(l, '0') => 10
        get(l, 5) => -
        get(l, -1) => -
        get(s, 0) => "ä"
        get(get(l, 1), 'k-1') => "v"
        get(o, 1) => -
        get(*, 's') => "äbc"
        o.a.b => null
        o.a.c => -
        s.a => -
        isNull(n) => true
        isNull(nope) => false
        isUndefined(o.x) => true
        nanvl('x', 2) => "x"
        nanvl('3', 2) => "3"
        nanvl(n, nope) => -
        concat() => -
        concat(1) => 1
        concat('a', n) => -
        concat('he', 1, true, 2.50) => "he1true2.5"
        concat(l, 'x', [1]) => [10,{"k-1":"v"},"x",1]
        (SELECT v FROM e WHERE n = 't') => [{"v":22.5}]
        (SELECT VALUE v FROM e) => [22.5,125]
        (SELECT VALUE * FROM e WHERE v > 100) => [{"n":"l","v":125}]
        (SELECT *, v * 2 AS v FROM e WHERE n = 'l') => [{"n":"l","v":250}]
        get((SELECT v FROM e WHERE n = 't'), 0).v => 22.5
        (SELECT VALUE v FROM s) => -
        (SELECT VALUE s FROM e) => []
        EXISTS (SELECT * FROM e WHERE v > 100) => true
        EXISTS (SELECT * FROM e WHERE v > 200) => false
        transform('enrichArray', {'a': 1, 'n': 'z'}, (SELECT * FROM e WHERE v > 1)) => [{"v":22.5,"a":1,"n":"z"},{"v":125,"a":1,"n":"z"}]
        transform('enrichArray', {'a': 1}, e) => -
        {'a': nope, 'b': [nope, 1]} => {"b":[null,1]}
        "#,
    );
}

#[test]
fn functions_about_texts() {
    check_values(
        r#"{"o":{"a":1}}"#,
        r#"
        substring('012345', 0) => "012345"
        substring('012345', 2.7, 4) => "23"
        substring('012345', -1, 3) => "012"
        substring('012345', 3, 100) => "345"
        substring('012345', 'x') => -
        substring('äöü', 1, 2) => "ö"
        substring(12345, 1, 3) => "23"
        indexof('aöb', 'b') => 2
        indexof('abc', 'x') => -1
        indexof(nope, 'x') => -
        length('日本') => 2
        length(o) => 7
        numbytes('日本') => 6
        lower('ÄB') => "äb"
        upper(true) => "TRUE"
        ltrim('  x ') => "x "
        rtrim('  x ') => "  x"
        lpad('a', -5) => "a"
        rpad(1, '2') => "1  "
        lpad('a', 'x') => -
        length(lpad('', 5000)) => 1000
        replace('a.b.c', '.', '--') => "a--b--c"
        startswith(123, 12) => true
        endswith('abc', o) => false
        chr(65) => "A"
        chr(1114112) => -
        chr(-1) => -
        regexp_matches('aaaa', 'a{2,}') => true
        regexp_matches('xaax', '^a') => false
        regexp_replace('abcd', 'b(.*)d', '$1') => "ac"
        regexp_replace('abab', 'a', '$0$0-') => "aa-baa-b"
        regexp_replace('ab', '(a)', '\$1$') => "$1$b"
        regexp_substr('hihihello', '(hi)*') => "hihi"
        regexp_substr('abc', 'x') => -
        regexp_matches('a', lower('(')) => -
        'it''s' => "it's"
        "say 'hi'" => "say 'hi'"
        "#,
    );
}

#[test]
fn functions_about_numbers() {
    check_values(
        "{}",
        r"
        abs(-2.5) => 2.5
        abs('-3') => 3
        abs(true) => -
        acos(1) => 0
        acos(2) => -
        asin(0) => 0
        atan(0) => 0
        atan2(0, 1) => 0
        bitand(5.9, 4) => 4
        bitor(5, '2') => 7
        bitxor(1, 3) => 2
        bitnot(5) => -6
        bitand(1, 'x') => -
        ceil('1.2') => 2
        ceil(5) => 5
        cos(0) => 1
        cosh(0) => 1
        exp(0) => 1
        floor(-1.2) => -2
        ln(1) => 0
        ln(0) => -
        log(1000) => 3
        mod(-7, 4) => -3
        remainder(7.5, 2) => 1.5
        mod(1, 0) => -
        power(2, -1) => 0.5
        power(4, 0.5) => 2
        power(0, -1) => -
        power(10, 100000) => -
        round(2.4999) => 2
        round('-2.5') => -3
        round(true) => -
        sign(0) => 0
        sign(-0.1) => -1
        sin(0) => 0
        sinh(0) => 0
        sqrt(2.25) => 1.5
        sqrt(-1) => -
        tan(0) => 0
        tanh(0) => 0
        trunc(2.3163, 2) => 2.31
        trunc(2.9, 0) => 2
        trunc(2.9, -3) => 2
        trunc(5, 2) => 5
        trunc('x', 2) => -
        ",
    );
}

#[test]
fn functions_about_encodings_and_time() {
    check_values(
        r#"{"o":{"a":1},"n":null}"#,
        r#"
        encode('hi', 'base64') => "aGk="
        encode(o, 'base64') => "eyJhIjoxfQ=="
        encode(n, 'base64') => -
        decode('aGk=', 'base64') => "hi"
        decode('not base 64', 'base64') => null
        decode('/w==', 'base64') => null
        decode('eyJhIjp7ImIiOlsxXX19', 'base64').a.b => [1]
        get(decode('eyJhIjp7ImIiOlsxXX19', 'base64').a.b, 0) => 1
        md2('hello') => "a9046c73e00331af68917d3804f70655"
        sha1('hello') => "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"
        sha224('hello') => "ea09ae9cc6768c50fcee903ed054556e5bfc8347907f12598aa24193"
        sha256('hello') => "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
        length(sha384('hello')) => 96
        length(sha512(1)) => 128
        sha1(nope) => -
        md5(n) => -
        parse_time("yyyy.MM.dd G 'at' HH:mm:ss z", 1497043186000) => "2017.06.09 AD at 21:19:46 UTC"
        parse_time("yyyy-MM-dd'T'HH:mm:ss.SSSZZ", 1700000000123, 'Europe/Berlin') => "2023-11-14T23:13:20.123+01:00"
        parse_time("EEE, d MMM yy h:mm a Z", 1700000000123, 'UTC+05:30') => "Wed, 15 Nov 23 3:43 AM +0530"
        parse_time("EEEE MMMM D w e x ''k K", 1700000000123) => "Tuesday November 318 46 2 2023 '22 10"
        parse_time("ZZZ", 0, 'America/New_York') => "America/New_York"
        parse_time("yyyy", 'x') => -
        parse_time("yyyy", 0, topic()) => -
        time_to_epoch('2020-04-03 09:45:18 UTC+01:00', 'yyyy-MM-dd HH:mm:ss z') => 1585903518000
        time_to_epoch('18 December 2015', 'dd MMMM yyyy') => 1450396800000
        time_to_epoch('2007-12-03 10:15:30.592 America/Los_Angeles', 'yyyy-MM-dd HH:mm:ss.SSS z') => 1196705730592
        time_to_epoch('20231114221320123', 'yyyyMMddHHmmssSSS') => 1700000000123
        time_to_epoch('Tue 14 Nov 23 10:13 PM +0000', 'EEE dd MMM yy hh:mm a Z') => 1699999980000
        time_to_epoch('2023-318', 'yyyy-D') => 1699920000000
        time_to_epoch('2023-02-30', 'yyyy-MM-dd') => -
        time_to_epoch('2023-02-03x', 'yyyy-MM-dd') => -
        time_to_epoch('', 'yyyy') => -
        "#,
    );
}

#[test]
fn functions_about_the_message() {
    check_values(
        "{}",
        r#"
        clientid() => "c1"
        principal() => "ann"
        topic() => "a/b/c"
        topic(2) => "b"
        topic(0) => -
        topic(4) => -
        timestamp() => 1700000000123
        accountid() => "000000000000"
        sql_version() => "2016-03-23"
        get_dynamodb('rooms', 'id', 'lobby', 'role').title => "Lobby"
        get_dynamodb('rooms', 'id', 'lobby', 'n', 7, 'role').title => "Seven"
        get_dynamodb('rooms', 'id', 'none', 'role') => -
        aws_lambda('echo', {'a': [1]}).got.a => [1]
        newuuid() = newuuid() => false
        rand() >= 0 AND rand() < 1 => true
        "#,
    );
    let uuid = value_of("newuuid()", "{}").unwrap();
    let uuid = uuid.as_str().unwrap();
    assert!(uuid.len() == 36 && &uuid[14..15] == "4" && "89ab".contains(&uuid[19..20]), "{uuid}");
    assert_eq!(value_of("newuuid()", "{}"), value_of("newuuid()", "{}"), "equal events give equal ids");
    assert_eq!(value_of("traceid()", "{}").unwrap().as_str().map(str::len), Some(36));
}

#[test]
fn what_did_not_come_over_mqtt_has_no_client() {
    let mut message = message("t", "{}");
    (message.client_id, message.user) = ("".into(), None);
    let output =
        crate::support::evaluate("SELECT clientid() AS c, principal() AS p", &message).unwrap().unwrap();
    assert_eq!(output, "{\"c\":\"n/a\"}");
}
