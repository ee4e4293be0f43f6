DROP TABLE meta.rates;
