export const text = 'More of 1.0.0';
