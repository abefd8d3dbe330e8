/* Made by word_gen.py from word_list.h: do not edit. */
/* clang-format off */
_Static_assert(WORD_COUNT == 349, "run word_gen.py");
const uint16_t word_slots[8192] = {
	[3504] = 1,
	[3099] = 2,
	[233] = 3,
	[8062] = 4,
	[1527] = 5,
	[3550] = 6,
	[5681] = 7,
	[7548] = 8,
	[5742] = 9,
	[181] = 10,
	[4312] = 11,
	[1020] = 12,
	[1416] = 13,
	[6854] = 14,
	[6132] = 15,
	[3567] = 16,
	[3855] = 17,
	[4235] = 18,
	[804] = 19,
	[7839] = 20,
	[2251] = 21,
	[1601] = 22,
	[1696] = 23,
	[5714] = 24,
	[3536] = 25,
	[5182] = 26,
	[5627] = 27,
	[1389] = 28,
	[4708] = 29,
	[2516] = 30,
	[5546] = 31,
	[4865] = 32,
	[3586] = 33,
	[5665] = 34,
	[3710] = 35,
	[220] = 36,
	[183] = 37,
	[2576] = 38,
	[856] = 39,
	[6972] = 40,
	[134] = 41,
	[2770] = 42,
	[3067] = 43,
	[5358] = 44,
	[1516] = 45,
	[7131] = 46,
	[3380] = 47,
	[2964] = 48,
	[1955] = 49,
	[2808] = 50,
	[5228] = 51,
	[2616] = 52,
	[3325] = 53,
	[5867] = 54,
	[3624] = 55,
	[332] = 56,
	[3252] = 57,
	[7127] = 58,
	[2756] = 59,
	[6947] = 60,
	[111] = 61,
	[5012] = 62,
	[764] = 63,
	[315] = 64,
	[5066] = 65,
	[5780] = 66,
	[4879] = 67,
	[4627] = 68,
	[6932] = 69,
	[698] = 70,
	[7861] = 71,
	[7900] = 72,
	[704] = 73,
	[277] = 74,
	[5008] = 75,
	[951] = 76,
	[7069] = 77,
	[3390] = 78,
	[2712] = 79,
	[2414] = 80,
	[7646] = 81,
	[5349] = 82,
	[7755] = 83,
	[4388] = 84,
	[1583] = 85,
	[1001] = 86,
	[7759] = 87,
	[2054] = 88,
	[1387] = 89,
	[8032] = 90,
	[2203] = 91,
	[4581] = 92,
	[5316] = 93,
	[640] = 94,
	[4138] = 95,
	[3637] = 96,
	[3822] = 97,
	[4174] = 98,
	[2132] = 99,
	[8084] = 100,
	[2938] = 101,
	[3656] = 102,
	[1297] = 103,
	[642] = 104,
	[7927] = 105,
	[1895] = 106,
	[2236] = 107,
	[3352] = 108,
	[5981] = 109,
	[6100] = 110,
	[6283] = 111,
	[6312] = 112,
	[7910] = 113,
	[2687] = 114,
	[2229] = 115,
	[3018] = 116,
	[2640] = 117,
	[1525] = 118,
	[2094] = 119,
	[3995] = 120,
	[549] = 121,
	[3033] = 122,
	[6954] = 123,
	[7682] = 124,
	[6993] = 125,
	[4547] = 126,
	[173] = 127,
	[5224] = 128,
	[6601] = 129,
	[2791] = 130,
	[1281] = 131,
	[7427] = 132,
	[4567] = 133,
	[1116] = 134,
	[6094] = 135,
	[2885] = 136,
	[6505] = 137,
	[7071] = 138,
	[7822] = 139,
	[1653] = 140,
	[546] = 141,
	[4162] = 142,
	[5760] = 143,
	[6554] = 144,
	[3449] = 145,
	[3573] = 146,
	[4496] = 147,
	[843] = 148,
	[25] = 149,
	[5754] = 150,
	[1597] = 151,
	[5898] = 152,
	[4682] = 153,
	[6538] = 154,
	[1233] = 155,
	[3967] = 156,
	[6354] = 157,
	[1961] = 158,
	[110] = 159,
	[5720] = 160,
	[3645] = 161,
	[1925] = 162,
	[7031] = 163,
	[932] = 164,
	[997] = 165,
	[1676] = 166,
	[5912] = 167,
	[513] = 168,
	[1681] = 169,
	[3374] = 170,
	[1671] = 171,
	[2263] = 172,
	[7686] = 173,
	[3205] = 174,
	[1807] = 175,
	[2199] = 176,
	[3120] = 177,
	[4076] = 178,
	[6927] = 179,
	[1798] = 180,
	[3483] = 181,
	[4656] = 182,
	[342] = 183,
	[83] = 184,
	[1853] = 185,
	[7351] = 186,
	[360] = 187,
	[5719] = 188,
	[5704] = 189,
	[3426] = 190,
	[6737] = 191,
	[8138] = 192,
	[4413] = 193,
	[5370] = 194,
	[1919] = 195,
	[1990] = 196,
	[5642] = 197,
	[6905] = 198,
	[5037] = 199,
	[3925] = 200,
	[2932] = 201,
	[692] = 202,
	[6140] = 203,
	[7129] = 204,
	[5186] = 205,
	[3416] = 206,
	[3569] = 207,
	[3005] = 208,
	[128] = 209,
	[3916] = 210,
	[6205] = 211,
	[1178] = 212,
	[449] = 213,
	[5373] = 214,
	[7974] = 215,
	[2586] = 216,
	[4767] = 217,
	[3162] = 218,
	[3537] = 219,
	[6053] = 220,
	[7647] = 221,
	[4953] = 222,
	[4066] = 223,
	[2575] = 224,
	[1758] = 225,
	[1026] = 226,
	[3821] = 227,
	[7771] = 228,
	[5875] = 229,
	[1270] = 230,
	[7223] = 231,
	[3565] = 232,
	[4840] = 233,
	[5886] = 234,
	[4871] = 235,
	[5679] = 236,
	[1007] = 237,
	[1321] = 238,
	[4810] = 239,
	[690] = 240,
	[2757] = 241,
	[5127] = 242,
	[1434] = 243,
	[3832] = 244,
	[1809] = 245,
	[2490] = 246,
	[3673] = 247,
	[671] = 248,
	[4065] = 249,
	[2339] = 250,
	[5824] = 251,
	[7890] = 252,
	[5675] = 253,
	[2668] = 254,
	[3556] = 255,
	[4157] = 256,
	[3233] = 257,
	[3398] = 258,
	[5249] = 259,
	[6544] = 260,
	[5476] = 261,
	[8011] = 262,
	[6429] = 263,
	[6921] = 264,
	[6172] = 265,
	[6281] = 266,
	[5972] = 267,
	[1745] = 268,
	[7566] = 269,
	[2040] = 270,
	[7503] = 271,
	[6277] = 272,
	[1757] = 273,
	[4630] = 274,
	[2389] = 275,
	[2237] = 276,
	[1446] = 277,
	[2398] = 278,
	[1090] = 279,
	[7261] = 280,
	[1619] = 281,
	[2362] = 282,
	[8135] = 283,
	[1534] = 284,
	[2787] = 285,
	[5049] = 286,
	[6391] = 287,
	[7420] = 288,
	[1032] = 289,
	[7159] = 290,
	[6047] = 291,
	[8155] = 292,
	[3814] = 293,
	[4039] = 294,
	[5419] = 295,
	[4869] = 296,
	[5577] = 297,
	[4945] = 298,
	[6197] = 299,
	[5202] = 300,
	[2103] = 301,
	[3027] = 302,
	[1149] = 303,
	[2402] = 304,
	[4994] = 305,
	[3400] = 306,
	[326] = 307,
	[4328] = 308,
	[3474] = 309,
	[3458] = 310,
	[973] = 311,
	[811] = 312,
	[1456] = 313,
	[3405] = 314,
	[578] = 315,
	[1056] = 316,
	[5455] = 317,
	[7310] = 318,
	[272] = 319,
	[5468] = 320,
	[6500] = 321,
	[4346] = 322,
	[13] = 323,
	[5658] = 324,
	[1899] = 325,
	[4105] = 326,
	[4863] = 327,
	[778] = 328,
	[2079] = 329,
	[3548] = 330,
	[6872] = 331,
	[2955] = 332,
	[2751] = 333,
	[1047] = 334,
	[4436] = 335,
	[4382] = 336,
	[7467] = 337,
	[7413] = 338,
	[709] = 339,
	[8025] = 340,
	[1245] = 341,
	[2201] = 342,
	[6812] = 343,
	[307] = 344,
	[1689] = 345,
	[5667] = 346,
	[2163] = 347,
	[2578] = 348,
};
const uint64_t word_hashes[WORD_COUNT] = {
	0,
	0x7486d46a82ebac44u, /* all */
	0x001aab6d39036234u, /* analyse */
	0x55ab5e1b577b47b5u, /* analyze */
	0x4087d93bbf0e4adeu, /* and */
	0x3b14d573302a7897u, /* any */
	0xd54f8ae504c66698u, /* array */
	0x303f8f3a43345af3u, /* as */
	0xb158e0747cc92dd0u, /* asc */
	0x3481a8262ec65317u, /* asymmetric */
	0x3bc5088e79000fd0u, /* both */
	0xd581e5c17d4856c1u, /* case */
	0x53d2d0700956195cu, /* cast */
	0xaa4c50a26b8ceb0bu, /* check */
	0x54a025c4382ce5a9u, /* collate */
	0x471a50f916cdd253u, /* column */
	0xea310e304fd0c42cu, /* constraint */
	0xe6b6bcc227041a71u, /* create */
	0x50cc2e2a407ff5ccu, /* current_catalog */
	0x7f1a05b71aecb147u, /* current_date */
	0x8bfc01a2222bc017u, /* current_role */
	0x6ad7ac6f6a5edb8eu, /* current_time */
	0xb12902ed9f38d81du, /* current_timestamp */
	0x2ccddc74137948e6u, /* current_user */
	0x5ff1f9b01308237eu, /* default */
	0x2e9c27dfc4b6fb89u, /* deferrable */
	0x45497129fe63430cu, /* desc */
	0xe88614fc27ba7c83u, /* distinct */
	0x969cba1d2659fcc2u, /* do */
	0x87435b1fbb50ced6u, /* else */
	0x09f092d0b616704au, /* end */
	0xe3aee5f95a774efeu, /* except */
	0x954e38068976ddc0u, /* false */
	0x23f1b05987f4ed8du, /* fetch */
	0xe0e08297d681e7cau, /* for */
	0x649a3af6780312dbu, /* foreign */
	0x855e17b72aa82fd7u, /* from */
	0x4d37b09401b0b647u, /* grant */
	0x884a7af98f1d0d96u, /* group */
	0x500cd9f416f884aeu, /* having */
	0x7728f71d60b797bau, /* in */
	0x8554a8286a6dbf02u, /* initially */
	0xad42cfccf25428dcu, /* intersect */
	0xe73ce19df0543e3du, /* into */
	0x33d683540270dfd2u, /* lateral */
	0x40e1a85b1152af79u, /* leading */
	0x56e507c092239790u, /* limit */
	0xd3cc8980289e35adu, /* localtime */
	0xc4285b606f6a49cau, /* localtimestamp */
	0xef0c898c637196ccu, /* not */
	0x528faea654df0a8au, /* null */
	0xe9c80746b7540e0cu, /* offset */
	0xa2d48db588979b2cu, /* on */
	0xf3bf78ab197f0cadu, /* only */
	0x54c33d6b9c7208e0u, /* or */
	0x9e93cc020a0a5c43u, /* order */
	0x9182ad255171c70bu, /* placing */
	0x8d77e89e33acc029u, /* primary */
	0x87f0c4eb58e0e449u, /* references */
	0xa29522b376706c6bu, /* returning */
	0x4742b9959a93bf1du, /* select */
	0x9032c4d367245309u, /* session_user */
	0x04edf2cf92304b61u, /* some */
	0x3d223fdb2a1c292au, /* symmetric */
	0xbaceec335efe1cbbu, /* table */
	0x97409570a031c4f2u, /* then */
	0x18bdfaa9dd7e9d92u, /* to */
	0x35d2d269cda65723u, /* trailing */
	0xab3fe6700d232e47u, /* true */
	0xb9710c9bc7455e02u, /* union */
	0x8c5bf08c2fe1e57eu, /* unique */
	0x9fe89e8ed29f46b0u, /* user */
	0x96e6cbd9e46bcf33u, /* using */
	0x0ace29eaa53d307au, /* variadic */
	0x90d819794cedba89u, /* when */
	0xcfddefc1e2f6c1e8u, /* where */
	0x99205cfef522bb49u, /* window */
	0xe1fd11c202c381abu, /* with */
	0x7b4e74423c338e6eu, /* authorization */
	0xf7edbbe0c8e3398eu, /* binary */
	0x1109bb4e9162a824u, /* collation */
	0xd4664e1b057c0933u, /* concurrently */
	0xbf53a27e7c58fe0bu, /* cross */
	0x929b4c731122fe9eu, /* current_schema */
	0xb29597e9366e50b6u, /* freeze */
	0x60a9a58854899f82u, /* full */
	0xe89b4e3491134137u, /* ilike */
	0x3e79309cc9141c73u, /* inner */
	0x9c8289f0e2d8237bu, /* is */
	0x7336c4c91d123b2cu, /* isnull */
	0x19900f9a3bbd3dabu, /* join */
	0xf170bfa558e4d62au, /* left */
	0xa5aeaed63cb0b876u, /* like */
	0xf40ad53976897a88u, /* natural */
	0x098c2dbc394348abu, /* notnull */
	0x61b9049f9ebff08cu, /* outer */
	0xb1603337a93bb6fdu, /* overlaps */
	0x29b800e5d0348285u, /* right */
	0x87d2ce77e4910228u, /* similar */
	0x6d4a71b2c64c290du, /* tablesample */
	0xbea2a46a73840e33u, /* verbose */
	0x460b6abac692382fu, /* between */
	0x0d27c27666db093au, /* bigint */
	0x664f4a7ac230676eu, /* bit */
	0x53e78e72732349f5u, /* boolean */
	0x66cd25db69891f1du, /* char */
	0xe40ccfc256ccaf14u, /* character */
	0x5fafe6502ac3f468u, /* coalesce */
	0x9dd17bd1bd011f0fu, /* dec */
	0x13426045e4e5d5d2u, /* decimal */
	0xee42e24328fb8225u, /* exists */
	0xe4d6c4816dc9a034u, /* extract */
	0xc276f53e63acdaf5u, /* float */
	0xe6cd34e392304668u, /* graph_table */
	0x9973a9b62bd5b352u, /* greatest */
	0x36f8ea78537ea2a6u, /* grouping */
	0x8731a4abf4839b28u, /* inout */
	0x0c369b80f0233be6u, /* int */
	0xbcb6235dbfba8acfu, /* integer */
	0x6c566d8944c0460eu, /* interval */
	0x648c0aac094c2a01u, /* json */
	0xcfe1a4a8ebd9bc8fu, /* json_array */
	0x809849582a9aae7au, /* json_arrayagg */
	0x0d190042412ec03eu, /* json_exists */
	0x6d68ff16220a85a7u, /* json_object */
	0xea03ce465797d372u, /* json_objectagg */
	0x2da6e293534bfdf0u, /* json_query */
	0x5b42163a85719b14u, /* json_scalar */
	0x7c9f680654b6b930u, /* json_serialize */
	0xbc04f7172b18c7fcu, /* json_table */
	0xe387ceead2fc58c1u, /* json_value */
	0xe0db7c6026e21ecau, /* least */
	0x02e4bc1953203db8u, /* merge_action */
	0xb5aca364bb399e23u, /* national */
	0x5b3829b596920b5fu, /* nchar */
	0x9271d306044e7cb7u, /* none */
	0xf03077e9c0ce9a70u, /* normalize */
	0x4ff6878f59ff686du, /* nullif */
	0xb8e7c073fedc38a2u, /* numeric */
	0x21ac208ab2f55593u, /* out */
	0x7880d45d25679df7u, /* overlay */
	0x293854962a1d3010u, /* position */
	0xc336b2bc78675fdbu, /* precision */
	0xb1b94a172c80bc33u, /* real */
	0xaa62923f3ba22227u, /* row */
	0x6bfd11ea3c22bc9eu, /* setof */
	0xad255425ed143131u, /* smallint */
	0x326243ea6ed35dd4u, /* substring */
	0x5190c45c8354e87eu, /* system_user */
	0x93c33cc096e00340u, /* time */
	0xa0ca941fe47f83dbu, /* timestamp */
	0x521756e88970d4abu, /* treat */
	0x178564665666baebu, /* trim */
	0xc16a4ee22d8ab5a1u, /* values */
	0x536c34aa71e47d6cu, /* varchar */
	0x9a56e1c5f532a153u, /* xmlattributes */
	0xf235b08f27bd40ecu, /* xmlconcat */
	0x9a1c7a7610e3dcaau, /* xmlelement */
	0xd6755dbe7ee7c318u, /* xmlexists */
	0xe7dac3a30167c3d9u, /* xmlforest */
	0x344891e5550351c8u, /* xmlnamespaces */
	0xdaca9f31c0165ac9u, /* xmlparse */
	0x8a317a2cc213353du, /* xmlpi */
	0xf87b04c01ed11eb2u, /* xmlroot */
	0x498c6977cbb5c35eu, /* xmlserialize */
	0xdb7b3979e80a8dfau, /* xmltable */
	0x92c4679a4b07b5d3u, /* abort */
	0xd02ca36741ddf131u, /* after */
	0x0804e689a22f2634u, /* aggregate */
	0x3bc63c6e6ef2298bu, /* alter */
	0x150a18739e2d3774u, /* always */
	0x11c129b12dca92b0u, /* asensitive */
	0x6f06f7bc95abcb50u, /* atomic */
	0x63868b7dcba38652u, /* begin */
	0x2b2d20c905f94df2u, /* by */
	0xc7a0cc2472e4c0cbu, /* call */
	0xc8634b626926c5c3u, /* cascade */
	0x9e229fd5d03055c4u, /* chain */
	0xd046721bc9f15207u, /* characteristics */
	0xe8afa1d0e1fa2f2fu, /* checkpoint */
	0x0266fbafe36dca83u, /* close */
	0x4bc9e98ee61b409bu, /* cluster */
	0x952f2c6a15b7f926u, /* comment */
	0x7c04b917c61fd604u, /* commit */
	0x783b1150622591e1u, /* committed */
	0x378d040a8fb41fcbu, /* constraints */
	0x610022c42aa71118u, /* content */
	0xcc2d128d956ea580u, /* copy */
	0x4171e5ce9282223cu, /* cube */
	0x486e733cb6e78ae0u, /* current */
	0x3f58ae00d9066fefu, /* cursor */
	0xf4f42593f82390ddu, /* cycle */
	0xc2479ff8c4f23ae5u, /* data */
	0x8e031be534140598u, /* database */
	0x807a7d0927296b49u, /* deallocate */
	0x7777aaf6e4a35ee5u, /* declare */
	0x68c64529208bf6c6u, /* deferred */
	0xa53598173eec4c18u, /* delete */
	0x21768e4484ec1d72u, /* detach */
	0xb3deb0576439f1fdu, /* disable */
	0x694464de98dfe36bu, /* discard */
	0x09e4e8fc6401879eu, /* document */
	0x009b16b2051756acu, /* drop */
	0x00dd3e658f2fe8fdu, /* event */
	0x6f1f44a53e957746u, /* execute */
	0x7549ddd483e0b396u, /* explain */
	0x923c19c7ea870960u, /* extension */
	0xc1e9417b37a60f66u, /* format */
	0xda1d8e6df348f9a3u, /* function */
	0xfe0f87b2111e0eeeu, /* global */
	0x61b844dcd8e43c5eu, /* hold */
	0x0c916a1f46ad5ac0u, /* immediate */
	0xed097e242a16b1f8u, /* import */
	0x207efc1a031f4a03u, /* index */
	0xebff9b1ce468ea46u, /* insensitive */
	0xd51b26aef945c61eu, /* insert */
	0xca7fe2edb4b8e17du, /* isolation */
	0x3cc0d16954e676beu, /* key */
	0xdf280e982644df8fu, /* level */
	0xeacbcf5f5f832010u, /* listen */
	0x529228f8d827104fu, /* load */
	0x47a30c084f54d1f0u, /* local */
	0x4741cfe69055eddeu, /* lock */
	0xdf7ddc8aeba8124fu, /* logged */
	0xac5f65760af724fdu, /* loop */
	0x44dfdc24ffa63878u, /* materialized */
	0x47c2cc218b8dfa01u, /* merge */
	0x5fff80a497cb029cu, /* move */
	0xebfd8f59603c4e72u, /* name */
	0x6079a0cc2604e215u, /* names */
	0x796a21868649d026u, /* next */
	0x644704f30aa292e8u, /* no */
	0x9380cbf127797c8au, /* notify */
	0xc072eb48020fd6bfu, /* nowait */
	0xb118bfe98e43ba84u, /* of */
	0x4fe877ad9d67cc8au, /* off */
	0x003fefa6c94df125u, /* operator */
	0xb9fb74741ac42182u, /* option */
	0x66ba40bc1921178au, /* ordinality */
	0xa2fa27b555e63941u, /* plans */
	0xc2d544994cab5039u, /* policy */
	0xd87dba6734ac0144u, /* prepare */
	0x1845c661d5e797a0u, /* prepared */
	0x2a2cb41125e23034u, /* procedure */
	0x6cda5dc7cdeb5875u, /* program */
	0x12241bd69b6fdf91u, /* publication */
	0xa37517e326d49cdbu, /* read */
	0xa44d06cba7bacf77u, /* reassign */
	0xe0340f445cf1a6afu, /* recursive */
	0x80477f541e288778u, /* refresh */
	0x724ad386191cb2a4u, /* reindex */
	0xca17fd92823971b0u, /* release */
	0x9bd31da287f717b1u, /* rename */
	0x4b399517ed3d077cu, /* repeatable */
	0xdd6afe18ad35234du, /* replace */
	0x221b55572df17370u, /* reset */
	0x39fc84e2e9ab5801u, /* revoke */
	0x48b150ede4ea6619u, /* role */
	0x775794860e1df177u, /* rollback */
	0xdca802a6cf134681u, /* rollup */
	0xdca43a8641b6861bu, /* rule */
	0x7647fcf52e05d6ccu, /* savepoint */
	0x9ba70eef92ece448u, /* schema */
	0xf0d875e193f2b040u, /* scroll */
	0xdce0778e5e89b47fu, /* search */
	0xb90e5d095e28cdc3u, /* security */
	0x3dc8deafc33ba7aeu, /* sequence */
	0xacef32361215d121u, /* sequences */
	0x41d3efb42b633da8u, /* serializable */
	0xd4ab75be9c5bdf34u, /* server */
	0x8b48166b3fd1ff7bu, /* session */
	0x025bbc110d466cafu, /* set */
	0x7fbf1d2ccf197e0cu, /* sets */
	0x88d1022d08022148u, /* share */
	0x5e8152b4174ce75au, /* show */
	0xc80fa9284dcfc510u, /* skip */
	0xcecd214c9bb822b9u, /* snapshot */
	0xae6625a1f90c1ee9u, /* start */
	0x077c5c7523dbbf71u, /* stdin */
	0x510ef86c744baa94u, /* stdout */
	0x5de997a1f1545a02u, /* subscription */
	0x1139bcec2d93b188u, /* system */
	0xebabe7f63a052e9fu, /* tablespace */
	0x613d99abbceb0755u, /* temp */
	0xde43d0ad86b177a2u, /* temporary */
	0x3114029f69ab9fedu, /* transaction */
	0xad64c7039d4ce7a1u, /* trigger */
	0x4ab00abe2a54a6bbu, /* truncate */
	0x321409cdc71c62fdu, /* type */
	0xc0937fb962cbda25u, /* uescape */
	0x2c393fb9153fc11eu, /* uncommitted */
	0xfede0edb6c311663u, /* unlisten */
	0x36dd85940f8a476cu, /* unlogged */
	0x626fcafa0be0c764u, /* update */
	0x0f44a4641153a1a0u, /* vacuum */
	0x68318eb1cbf24c60u, /* view */
	0x911d0d64fc9cb83du, /* volatile */
	0x93d1823a3c0e7295u, /* without */
	0xbc1511c088936d7cu, /* work */
	0x89dcf16ba34463d0u, /* write */
	0xc1be7a7a67e11310u, /* xml */
	0x7e659655b59882d3u, /* zone */
	0x32a238b02c4509bdu, /* current_setting */
	0x607ec17f13f29118u, /* currval */
	0xd7933ef034dfee5bu, /* dblink */
	0x1d641032edfdfac3u, /* dblink_cancel_query */
	0x3a755b5b5a0f0b9eu, /* dblink_close */
	0x8400ea594c9f5842u, /* dblink_connect */
	0xbe935bf299896fa4u, /* dblink_connect_u */
	0xda18bf1df68335b8u, /* dblink_disconnect */
	0x41eae790bf3d2f34u, /* dblink_error_message */
	0x800b8343d4484663u, /* dblink_exec */
	0x725522a392480ce0u, /* dblink_fetch */
	0x956c40f786a029c4u, /* dblink_get_connections */
	0x7b74c44c254b45fau, /* dblink_get_notify */
	0xeea61d0eaf62ccacu, /* dblink_get_result */
	0x3b9d949e0dfcdf94u, /* dblink_is_busy */
	0xc4d7f436930c3660u, /* dblink_open */
	0x07aa258d93874bc5u, /* dblink_send_query */
	0xa3e7c821ce68847cu, /* lastval */
	0x3fbecd5c0f6b8addu, /* nextval */
	0xb2550590fbea1b54u, /* pg_advisory_lock */
	0x1b50dd702c6c79ceu, /* pg_advisory_lock_shared */
	0x5423f6a86e3635ffu, /* pg_advisory_unlock */
	0xfc24f3b15c8c52d5u, /* pg_advisory_unlock_all */
	0xd4546f08c776ce19u, /* pg_advisory_unlock_shared */
	0xb2c6c739151acb59u, /* pg_advisory_xact_lock */
	0xd85cbb0ac7330037u, /* pg_advisory_xact_lock_shared */
	0x3c9cbd83b9f3d1f0u, /* pg_cancel_backend */
	0x5c1c1cb061636e18u, /* pg_copy_logical_replication_slot */
	0xac3119d480cc8bcau, /* pg_copy_physical_replication_slot */
	0x2ff299d7d2ae80cdu, /* pg_create_logical_replication_slot */
	0x39a68e42fb60bb33u, /* pg_create_physical_replication_slot */
	0x857a2297a47677c6u, /* pg_export_snapshot */
	0xc87afb356295b0d3u, /* pg_listening_channels */
	0xaa94499b63de0562u, /* pg_notify */
	0xbb2da9f3f7a745f2u, /* pg_prepared_statement */
	0x35e4e2066cad2f95u, /* pg_prepared_statements */
	0xd321178d47fb43edu, /* pg_replication_origin_session_reset */
	0x45071ff2ffa8a797u, /* pg_replication_origin_session_setup */
	0x04eff13eab182a1du, /* pg_temp */
	0x4652e439e693f467u, /* pg_terminate_backend */
	0x328b59501d0b7d10u, /* pg_try_advisory_lock */
	0xec00831f8cce0952u, /* pg_try_advisory_lock_shared */
	0x11ce2b0fa811d3c5u, /* pg_try_advisory_xact_lock */
	0x3e633c20d74d0c0bu, /* pg_try_advisory_xact_lock_shared */
	0xf438ea3a159142ecu, /* setseed */
	0xf2c74e48c51e8030u, /* setval */
	0x6adeb40d6ed77102u, /* set_config */
};
/* clang-format on */
